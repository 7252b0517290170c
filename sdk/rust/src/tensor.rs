use std::borrow::Cow;
use std::rc::Rc;

use crate::abi::MAX_RANK;
use crate::{fail, Context, DType, Element, Error, Json, Result};

/// An array of numbers or truth values in row-major order; an empty shape is a scalar. As an input it is a view of memory
/// that the server filled.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a, T: Element> {
    /// The dimensions; their product is the number of elements.
    pub shape: Vec<i64>,
    /// The elements.
    pub data: Cow<'a, [T]>,
}

impl<'a, T: Element> Tensor<'a, T> {
    /// A tensor over data. Whether the shape fits is checked when the server gets it; see [`Tensor::check`].
    pub fn new(shape: impl Into<Vec<i64>>, data: impl Into<Cow<'a, [T]>>) -> Self {
        Tensor { shape: shape.into(), data: data.into() }
    }

    /// A tensor of zeros. A negative dimension counts as 0 elements and is refused by the server.
    pub fn zeros(shape: impl Into<Vec<i64>>) -> Self {
        let shape = shape.into();
        let n = elements(&shape).unwrap_or(0);
        Tensor { shape, data: Cow::Owned(vec![T::default(); n]) }
    }

    /// The elements, to be written; an input is copied first.
    pub fn data_mut(&mut self) -> &mut [T] {
        self.data.to_mut()
    }

    /// Says what is wrong when the shape does not fit the data or has more than 8 dimensions.
    pub fn check(&self) -> Result<()> {
        check(&self.shape, self.data.len())
    }

    /// The same tensor without its element type.
    pub fn any(&self) -> AnyTensor<'_> {
        let data = unsafe {
            std::slice::from_raw_parts(self.data.as_ptr() as *const u8, std::mem::size_of_val::<[T]>(&self.data))
        };
        AnyTensor { dtype: T::DTYPE, shape: self.shape.clone(), data: Cow::Borrowed(data) }
    }
}

/// A tensor whose element type is known only when the function runs.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyTensor<'a> {
    /// The element type.
    pub dtype: DType,
    /// The dimensions.
    pub shape: Vec<i64>,
    /// The elements, little-endian; for BYTES as [`Strings`] reads them.
    pub data: Cow<'a, [u8]>,
}

impl AnyTensor<'_> {
    /// The tensor with its element type, `None` when it has another one. The data is not copied where it is aligned.
    pub fn typed<T: Element>(&self) -> Option<Tensor<'_, T>> {
        if T::DTYPE != self.dtype {
            return None;
        }
        Some(Tensor { shape: self.shape.clone(), data: view(&self.data) })
    }

    /// The tensor's strings, `None` when its elements are others or broken.
    pub fn strings(&self) -> Option<Strings<'_>> {
        if self.dtype != DType::BYTES {
            return None;
        }
        Strings::decode(self.shape.clone(), &self.data).ok()
    }

    /// Says what is wrong when the shape does not fit the data.
    pub fn check(&self) -> Result<()> {
        match self.dtype.size() {
            0 => Strings::decode(self.shape.clone(), &self.data).map(|_| ()),
            size => check(&self.shape, self.data.len() / size),
        }
    }
}

/// Bytes as elements. Truth values were checked by the server to be 0 or 1.
pub(crate) fn view<T: Element>(data: &[u8]) -> Cow<'_, [T]> {
    let size = std::mem::size_of::<T>();
    let n = data.len() / size;
    if data.as_ptr() as usize % std::mem::align_of::<T>() == 0 {
        return Cow::Borrowed(unsafe { std::slice::from_raw_parts(data.as_ptr() as *const T, n) });
    }
    let mut copy = vec![T::default(); n];
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), copy.as_mut_ptr() as *mut u8, n * size) };
    Cow::Owned(copy)
}

/// A tensor of strings, which may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strings<'a> {
    /// The dimensions.
    pub shape: Vec<i64>,
    /// The elements.
    pub data: Vec<Cow<'a, [u8]>>,
}

impl<'a> Strings<'a> {
    /// A vector of strings.
    pub fn new(data: impl IntoIterator<Item = &'a str>) -> Self {
        let data: Vec<_> = data.into_iter().map(|s| Cow::Borrowed(s.as_bytes())).collect();
        Strings { shape: vec![data.len() as i64], data }
    }

    /// Says what is wrong when the shape does not fit the data.
    pub fn check(&self) -> Result<()> {
        check(&self.shape, self.data.len())
    }

    pub(crate) fn decode(shape: Vec<i64>, bytes: &'a [u8]) -> Result<Self> {
        let broken = || Error::new("a BYTES tensor whose offsets are broken");
        let n = elements(&shape).ok_or_else(broken)?;
        if n == 0 && bytes.is_empty() {
            return Ok(Strings { shape, data: Vec::new() });
        }
        let offset = |i: usize| {
            let b = bytes.get(4 * i..4 * i + 4)?;
            Some(u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
        };
        let text = bytes.get(4 * (n + 1)..).ok_or_else(broken)?;
        if offset(0) != Some(0) || offset(n) != Some(text.len()) {
            return Err(broken());
        }
        let item = |i| Some(Cow::Borrowed(text.get(offset(i)?..offset(i + 1)?)?));
        let data = (0..n).map(item).collect::<Option<Vec<_>>>().ok_or_else(broken)?;
        Ok(Strings { shape, data })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        let mut end = 0u32;
        for s in &self.data {
            end += s.len() as u32;
            out.extend_from_slice(&end.to_le_bytes());
        }
        self.data.iter().for_each(|s| out.extend_from_slice(s));
        out
    }

    /// The same tensor without its element type.
    pub fn any(&self) -> AnyTensor<'static> {
        AnyTensor { dtype: DType::BYTES, shape: self.shape.clone(), data: Cow::Owned(self.encode()) }
    }
}

/// What a model answered and what stays in the server until it is read: a tensor, or a JSON document where the model's
/// output is a sequence or a map. As an output or as a model's input a tensor is handed on without a copy. The server forgets
/// it at the end of the call.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The element type, `None` of a JSON document.
    pub dtype: Option<DType>,
    /// The dimensions.
    pub shape: Vec<i64>,
    /// The server's number for it; 0 in tests.
    pub(crate) handle: u32,
    /// Its data in tests, where no server keeps it; in a plugin its length alone counts.
    pub(crate) local: Rc<Vec<u8>>,
    pub(crate) len: usize,
}

impl Remote {
    /// Copies the tensor from the server. It fails when its elements are of another type.
    pub fn read<T: Element>(&self, ctx: &Context) -> Result<Tensor<'static, T>> {
        if self.dtype != Some(T::DTYPE) {
            return fail(format!("the model answered {}, want {}", self.what(), T::DTYPE.name()));
        }
        let mut data = vec![T::default(); self.len / std::mem::size_of::<T>()];
        let bytes = unsafe { std::slice::from_raw_parts_mut(data.as_mut_ptr() as *mut u8, std::mem::size_of_val::<[T]>(&data)) };
        ctx.host.read(self, bytes)?;
        Ok(Tensor { shape: self.shape.clone(), data: Cow::Owned(data) })
    }

    /// Copies the document from the server. It fails when it is a tensor.
    pub fn read_json(&self, ctx: &Context) -> Result<Json<'static>> {
        if self.dtype.is_some() {
            return fail(format!("the model answered {}, want JSON", self.what()));
        }
        let mut text = vec![0; self.len];
        ctx.host.read(self, &mut text)?;
        let text = String::from_utf8(text).map_err(|_| Error::new("the model answered JSON that is not UTF-8"))?;
        Ok(Json(Cow::Owned(text)))
    }

    fn what(&self) -> &'static str {
        self.dtype.map_or("JSON", DType::name)
    }

    /// Copies the tensor from the server, whatever its elements are.
    pub fn read_any(&self, ctx: &Context) -> Result<AnyTensor<'static>> {
        let dtype = self.dtype.ok_or_else(|| Error::new("the model answered JSON, want a tensor"))?;
        let mut data = vec![0; self.len];
        ctx.host.read(self, &mut data)?;
        Ok(AnyTensor { dtype, shape: self.shape.clone(), data: Cow::Owned(data) })
    }
}

/// The product of a shape; `None` when it is negative or beyond what memory can hold.
pub(crate) fn elements(shape: &[i64]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?)).filter(|&n| n <= 1 << 31)
}

pub(crate) fn check(shape: &[i64], have: usize) -> Result<()> {
    if shape.len() <= MAX_RANK && elements(shape) == Some(have) {
        return Ok(());
    }
    fail(format!("shape {shape:?} does not fit {have} elements"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive() {
        for words in [&[][..], &[""], &["a", "", "grüße"]] {
            let s = Strings::new(words.iter().copied());
            assert_eq!(s.any().strings(), Some(s));
        }
    }

    #[test]
    fn broken_offsets_are_refused() {
        for bytes in [&[0, 0][..], &[1, 0, 0, 0, 1, 0, 0, 0, 9], &[0, 0, 0, 0, 9, 0, 0, 0, 9]] {
            assert!(Strings::decode(vec![1], bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn shapes_are_checked() {
        assert!(Tensor::new([2, 3], vec![0f32; 6]).check().is_ok());
        assert!(Tensor::new([], vec![0f32]).check().is_ok());
        for shape in [vec![5], vec![-1], vec![1; 9], vec![i64::MAX, 2]] {
            assert!(Tensor::new(shape, vec![0f32; 6]).check().is_err());
        }
    }
}
