//! The layout of ABI version 1. docs/plugin-abi.md in the server's repository is the normative text.

pub const magic: u32 = 0x314D4454;
pub const max_rank = 8;

pub const host_side: u8 = 4;
pub const absent: u8 = 16;

pub const Kind = enum(u8) { none = 0, tensor, bytes, text, json, image, list };

/// The block that one call starts from. Addresses are absolute in linear memory.
pub const Request = extern struct {
    magic: u32,
    major: u16,
    minor: u16,
    total_len: u32,
    op: u32,
    num_in: u32,
    in_ptr: u32,
    out_cap: u32,
    out_ptr: u32,
    num_out: u32,
    err_ptr: u32,
    err_cap: u32,
    err_len: u32,
    deadline_ns: u64,
    request_id: u64,
};

/// One value.
pub const Value = extern struct {
    name_ptr: u32 = 0,
    name_len: u32 = 0,
    kind: u8 = 0,
    dtype: u8 = 0,
    rank: u8 = 0,
    flags: u8 = 0,
    handle: u32 = 0,
    data_ptr: u32 = 0,
    items: u32 = 0,
    data_len: u64 = 0,
    dims: [max_rank]i64 = [_]i64{0} ** max_rank,

    /// The bytes that the value describes. The server has checked the range; they last as long as the call.
    pub fn bytes(v: *const Value) []const u8 {
        if (v.data_len == 0) return "";
        return @as([*]const u8, @ptrFromInt(v.data_ptr))[0..@intCast(v.data_len)];
    }

    /// The items of a list.
    pub fn list(v: *const Value) []const Value {
        if (v.items == 0) return &.{};
        return @as([*]const Value, @ptrFromInt(v.data_ptr))[0..v.items];
    }

    pub fn shape(v: *const Value) []const i64 {
        return v.dims[0..v.rank];
    }

    /// Makes it a value of a kind over memory that stays until the server has read it.
    pub fn set(v: *Value, kind: Kind, data: []const u8) void {
        v.* = .{ .name_ptr = v.name_ptr, .name_len = v.name_len, .kind = @intFromEnum(kind), .data_len = data.len };
        if (data.len > 0) v.data_ptr = @intCast(@intFromPtr(data.ptr));
    }

    /// Makes it a tensor; its data stands already.
    pub fn setShape(v: *Value, dtype: u8, dims: []const i64) void {
        v.dtype = dtype;
        v.rank = @intCast(dims.len);
        @memcpy(v.dims[0..dims.len], dims);
    }
};

comptime {
    if (@sizeOf(Request) != 64 or @sizeOf(Value) != 96) @compileError("the layout of the ABI");
}
