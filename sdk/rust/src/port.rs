use std::any::Any;
use std::borrow::Cow;

use crate::abi::{self, Value};
use crate::describe::PortList;
use crate::tensor::{check, view};
use crate::{AnyTensor, DType, Element, Error, Remote, Result, Strings, Tensor};

/// Outputs that the server still has to read when the function has returned.
#[doc(hidden)]
#[derive(Default)]
pub struct Keep(Vec<Box<dyn Any>>);

impl Keep {
    /// Nothing.
    #[cfg(target_arch = "wasm32")]
    pub const EMPTY: Keep = Keep(Vec::new());

    fn hold<T: Clone + 'static>(&mut self, data: Cow<'_, [T]>) -> *const [T] {
        match data {
            Cow::Borrowed(view) => view, // of an input, or static
            Cow::Owned(owned) => {
                let at: *const [T] = &owned[..];
                self.0.push(Box::new(owned));
                at
            }
        }
    }

    fn put<T: Clone + 'static>(&mut self, v: &mut Value, kind: u8, data: Cow<'_, [T]>) {
        let data = self.hold(data);
        let bytes = unsafe { std::slice::from_raw_parts(data as *const u8, std::mem::size_of_val(&*data)) };
        v.set(kind, bytes);
    }
}

/// What a field of an `outputs!` struct may be. The table of types stands in the README.
pub trait Port: Sized {
    /// The ABI's number of the kind; of its items for a list.
    #[doc(hidden)]
    const KIND: u8;
    /// The element type, `None` for any and for what is no tensor.
    #[doc(hidden)]
    const DTYPE: Option<DType> = None;
    /// A tensor of rank 0.
    #[doc(hidden)]
    const SCALAR: bool = false;
    #[doc(hidden)]
    const OPTIONAL: bool = false;
    #[doc(hidden)]
    const LIST: bool = false;

    #[doc(hidden)]
    fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()>;
}

/// What a field of an `inputs!` struct may be: a view of the server's memory for as long as the call.
pub trait Input<'a>: Port {
    #[doc(hidden)]
    fn load(v: &'a Value) -> Result<Self>;
}

/// The inputs of a function: a struct made by `inputs!` or `ports!`, or `()` for none.
pub trait Inputs<'a>: Sized {
    #[doc(hidden)]
    fn describe(into: &mut PortList);
    #[doc(hidden)]
    fn load(values: &'a [Value]) -> Result<Self>;
}

/// The outputs of a function: a struct made by `outputs!` or `ports!`, or `()` for none.
pub trait Outputs: Sized {
    #[doc(hidden)]
    fn describe(into: &mut PortList);
    #[doc(hidden)]
    fn store(self, values: &mut [Value], keep: &mut Keep) -> Result<()>;
}

impl Inputs<'_> for () {
    fn describe(_: &mut PortList) {}
    fn load(_: &[Value]) -> Result<Self> {
        Ok(())
    }
}

impl Outputs for () {
    fn describe(_: &mut PortList) {}
    fn store(self, _: &mut [Value], _: &mut Keep) -> Result<()> {
        Ok(())
    }
}

/// Bytes of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes<'a>(pub Cow<'a, [u8]>);

/// One JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<'a>(pub Cow<'a, str>);

/// An encoded image: JPEG, PNG, WebP or GIF. A `Tensor<u8>` of shape `[h, w, 3]` receives images decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a>(pub Cow<'a, [u8]>);

impl<'a, T: Element> Port for Tensor<'a, T> {
    const KIND: u8 = abi::TENSOR;
    const DTYPE: Option<DType> = Some(T::DTYPE);

    fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()> {
        check(&self.shape, self.data.len())?;
        keep.put(v, abi::TENSOR, self.data);
        v.set_shape(T::DTYPE as u8, &self.shape);
        Ok(())
    }
}

impl<'a, T: Element> Input<'a> for Tensor<'a, T> {
    fn load(v: &'a Value) -> Result<Self> {
        Ok(Tensor { shape: v.shape().into(), data: view(v.bytes()) })
    }
}

impl<'a> Port for AnyTensor<'a> {
    const KIND: u8 = abi::TENSOR;

    fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()> {
        self.check()?;
        // A vector of bytes need not start where such elements may.
        let (data, size) = (self.data, self.dtype.size().max(4));
        if data.as_ptr() as usize % size == 0 {
            keep.put(v, abi::TENSOR, data);
        } else {
            let mut words = vec![0u64; (data.len() + 7) / 8];
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), words.as_mut_ptr() as *mut u8, data.len()) };
            keep.put(v, abi::TENSOR, Cow::Owned(words));
            v.data_len = data.len() as u64;
        }
        v.set_shape(self.dtype as u8, &self.shape);
        Ok(())
    }
}

impl<'a> Input<'a> for AnyTensor<'a> {
    fn load(v: &'a Value) -> Result<Self> {
        let dtype = DType::of(v.dtype).ok_or_else(|| Error::new("an unknown element type"))?;
        Ok(AnyTensor { dtype, shape: v.shape().into(), data: Cow::Borrowed(v.bytes()) })
    }
}

impl<'a> Port for Strings<'a> {
    const KIND: u8 = abi::TENSOR;
    const DTYPE: Option<DType> = Some(DType::BYTES);

    fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()> {
        self.check()?;
        self.any().store(v, keep)
    }
}

impl<'a> Input<'a> for Strings<'a> {
    fn load(v: &'a Value) -> Result<Self> {
        Strings::decode(v.shape().into(), v.bytes())
    }
}

impl Port for Remote {
    const KIND: u8 = abi::TENSOR;

    fn store(self, v: &mut Value, _: &mut Keep) -> Result<()> {
        let dtype = self.dtype.ok_or_else(|| Error::new("a model's JSON cannot be handed on as a tensor: read it"))?;
        v.set(abi::TENSOR, &[]);
        v.set_shape(dtype as u8, &self.shape);
        v.flags = abi::HOST_SIDE;
        v.handle = self.handle;
        Ok(())
    }
}

impl<T: Element> Port for T {
    const KIND: u8 = abi::TENSOR;
    const DTYPE: Option<DType> = Some(T::DTYPE);
    const SCALAR: bool = true;

    fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()> {
        keep.put(v, abi::TENSOR, Cow::Owned(vec![self]));
        v.set_shape(T::DTYPE as u8, &[]);
        Ok(())
    }
}

impl<'a, T: Element> Input<'a> for T {
    fn load(v: &'a Value) -> Result<Self> {
        view::<T>(v.bytes()).first().copied().ok_or_else(|| Error::new("a single number was expected"))
    }
}

/// Text that came in. The server has checked that it is UTF-8.
fn text(v: &Value) -> &str {
    unsafe { std::str::from_utf8_unchecked(v.bytes()) }
}

fn bytes_of(s: Cow<'_, str>) -> Cow<'_, [u8]> {
    match s {
        Cow::Borrowed(s) => Cow::Borrowed(s.as_bytes()),
        Cow::Owned(s) => Cow::Owned(s.into_bytes()),
    }
}

macro_rules! plain_ports {
    ($([$($lt:lifetime)?] $t:ty, $kind:ident, $v:ident => $load:expr, $x:ident => $data:expr;)*) => {$(
        impl<'a> Input<'a> for $t {
            fn load($v: &'a Value) -> Result<Self> {
                Ok($load)
            }
        }

        impl<$($lt)?> Port for $t {
            const KIND: u8 = abi::$kind;

            fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()> {
                let $x = self;
                keep.put(v, abi::$kind, $data);
                Ok(())
            }
        }
    )*};
}

plain_ports! {
    ['a] &'a str, TEXT, v => text(v), s => Cow::Borrowed(s.as_bytes());
    [] String, TEXT, v => text(v).into(), s => Cow::<[u8]>::Owned(s.into_bytes());
    ['a] Cow<'a, str>, TEXT, v => Cow::Borrowed(text(v)), s => bytes_of(s);
    ['a] Json<'a>, JSON, v => Json(Cow::Borrowed(text(v))), j => bytes_of(j.0);
    ['a] Bytes<'a>, BYTES, v => Bytes(Cow::Borrowed(v.bytes())), b => b.0;
    ['a] Image<'a>, IMAGE, v => Image(Cow::Borrowed(v.bytes())), i => i.0;
}

impl<P: Port> Port for Option<P> {
    const KIND: u8 = P::KIND;
    const DTYPE: Option<DType> = P::DTYPE;
    const SCALAR: bool = P::SCALAR;
    const OPTIONAL: bool = true;
    const LIST: bool = P::LIST;

    fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()> {
        match self {
            Some(p) => p.store(v, keep),
            None => {
                v.set(0, &[]);
                v.flags = abi::ABSENT;
                Ok(())
            }
        }
    }
}

impl<'a, P: Input<'a>> Input<'a> for Option<P> {
    fn load(v: &'a Value) -> Result<Self> {
        match v.flags & abi::ABSENT {
            0 => P::load(v).map(Some),
            _ => Ok(None),
        }
    }
}

impl<P: Port> Port for Vec<P> {
    const KIND: u8 = P::KIND;
    const DTYPE: Option<DType> = P::DTYPE;
    const SCALAR: bool = P::SCALAR;
    const LIST: bool = true;

    fn store(self, v: &mut Value, keep: &mut Keep) -> Result<()> {
        let mut items = vec![Value::default(); self.len()];
        for (item, to) in self.into_iter().zip(&mut items) {
            item.store(to, keep)?;
        }
        let n = items.len() as u32;
        keep.put(v, abi::LIST, Cow::Owned(items));
        v.items = n;
        Ok(())
    }
}

impl<'a, P: Input<'a>> Input<'a> for Vec<P> {
    fn load(v: &'a Value) -> Result<Self> {
        v.list().iter().map(P::load).collect()
    }
}
