//! The layout of ABI version 1. docs/plugin-abi.md in the server's repository is the normative text.

#[cfg(target_arch = "wasm32")]
pub const MAGIC: u32 = 0x314D_4454;
#[cfg(target_arch = "wasm32")]
pub const MAJOR: u16 = 1;
pub const MAX_RANK: usize = 8;

pub const HOST_SIDE: u8 = 4;
pub const ABSENT: u8 = 16;

pub const TENSOR: u8 = 1;
pub const BYTES: u8 = 2;
pub const TEXT: u8 = 3;
pub const JSON: u8 = 4;
pub const IMAGE: u8 = 5;
pub const LIST: u8 = 6;

/// The block that one call starts from. Addresses are absolute in linear memory.
#[repr(C)]
pub struct Request {
    pub magic: u32,
    pub major: u16,
    pub minor: u16,
    pub total_len: u32,
    pub op: u32,
    pub num_in: u32,
    pub in_ptr: u32,
    pub out_cap: u32,
    pub out_ptr: u32,
    pub num_out: u32,
    pub err_ptr: u32,
    pub err_cap: u32,
    pub err_len: u32,
    pub deadline_ns: u64,
    pub request_id: u64,
}

/// One value.
#[repr(C)]
#[derive(Clone, Default)]
pub struct Value {
    pub name_ptr: u32,
    pub name_len: u32,
    pub kind: u8,
    pub dtype: u8,
    pub rank: u8,
    pub flags: u8,
    pub handle: u32,
    pub data_ptr: u32,
    pub items: u32,
    pub data_len: u64,
    pub dims: [i64; MAX_RANK],
}

const _: () = assert!(std::mem::size_of::<Request>() == 64 && std::mem::size_of::<Value>() == 96);

impl Value {
    /// The bytes that the value describes. The server has checked the range; it lives as long as the call.
    pub fn bytes(&self) -> &[u8] {
        if self.data_len == 0 {
            return &[];
        }
        unsafe { std::slice::from_raw_parts(self.data_ptr as usize as *const u8, self.data_len as usize) }
    }

    /// The items of a list.
    pub fn list(&self) -> &[Value] {
        if self.items == 0 {
            return &[];
        }
        unsafe { std::slice::from_raw_parts(self.data_ptr as usize as *const Value, self.items as usize) }
    }

    pub fn shape(&self) -> &[i64] {
        &self.dims[..self.rank as usize]
    }

    /// Makes it a value of a kind over memory that must stay until the server has read it.
    pub fn set(&mut self, kind: u8, data: &[u8]) {
        *self = Value { name_ptr: self.name_ptr, name_len: self.name_len, kind, ..Value::default() };
        if !data.is_empty() {
            self.data_ptr = data.as_ptr() as usize as u32;
            self.data_len = data.len() as u64;
        }
    }

    /// Makes it a tensor; its data stands already.
    pub fn set_shape(&mut self, dtype: u8, shape: &[i64]) {
        self.dtype = dtype;
        self.rank = shape.len() as u8;
        self.dims[..shape.len()].copy_from_slice(shape);
    }
}
