/// The element type of a tensor, numbered as in ONNX and named as in the Open Inference Protocol.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DType {
    FP32 = 1,
    UINT8 = 2,
    INT8 = 3,
    UINT16 = 4,
    INT16 = 5,
    INT32 = 6,
    INT64 = 7,
    BYTES = 8,
    BOOL = 9,
    FP16 = 10,
    FP64 = 11,
    UINT32 = 12,
    UINT64 = 13,
    BF16 = 16,
}

const ALL: [(DType, &str, usize); 14] = [
    (DType::FP32, "FP32", 4),
    (DType::UINT8, "UINT8", 1),
    (DType::INT8, "INT8", 1),
    (DType::UINT16, "UINT16", 2),
    (DType::INT16, "INT16", 2),
    (DType::INT32, "INT32", 4),
    (DType::INT64, "INT64", 8),
    (DType::BYTES, "BYTES", 0),
    (DType::BOOL, "BOOL", 1),
    (DType::FP16, "FP16", 2),
    (DType::FP64, "FP64", 8),
    (DType::UINT32, "UINT32", 4),
    (DType::UINT64, "UINT64", 8),
    (DType::BF16, "BF16", 2),
];

impl DType {
    /// The type with a number, if there is one.
    pub fn of(number: u8) -> Option<DType> {
        ALL.iter().find(|d| d.0 as u8 == number).map(|d| d.0)
    }

    fn entry(self) -> &'static (DType, &'static str, usize) {
        let i = ALL.iter().position(|d| d.0 == self);
        &ALL[i.unwrap_or_default()]
    }

    /// The Open Inference Protocol's name.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// Bytes of one element; 0 for BYTES, whose elements vary.
    pub fn size(self) -> usize {
        self.entry().2
    }
}

/// A half-precision number by its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct F16(pub u16);

/// A bfloat16 number by its bits: the upper half of an `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl F16 {
    /// The number, exactly.
    pub fn to_f32(self) -> f32 {
        let bits = self.0 as u32;
        let (sign, exp, frac) = ((bits & 0x8000) << 16, bits >> 10 & 0x1f, bits & 0x3ff);
        let abs = match exp {
            0x1f => f32::from_bits(0x7f80_0000 | frac << 13),
            0 => frac as f32 / (1 << 24) as f32,
            _ => f32::from_bits(exp + 112 << 23 | frac << 13),
        };
        f32::from_bits(abs.to_bits() | sign)
    }

    /// Rounds to the nearest, ties to even; too large becomes infinite.
    pub fn from_f32(v: f32) -> F16 {
        let (sign, abs) = ((v.to_bits() >> 16 & 0x8000) as u16, v.to_bits() & 0x7fff_ffff);
        F16(sign
            | match abs {
                0x7f80_0001.. => 0x7e00,
                0x477f_f000.. => 0x7c00,
                0..=0x387f_ffff => ((f32::from_bits(abs) + 0.5).to_bits() & 0x7ff) as u16, // below 2^-14
                _ => ((abs + 0xfff + (abs >> 13 & 1) - (112 << 23)) >> 13) as u16,
            })
    }
}

impl Bf16 {
    /// The number, exactly.
    pub fn to_f32(self) -> f32 {
        f32::from_bits((self.0 as u32) << 16)
    }

    /// Rounds to the nearest, ties to even.
    pub fn from_f32(v: f32) -> Bf16 {
        let bits = v.to_bits();
        if v.is_nan() {
            return Bf16((bits >> 16) as u16 | 0x40);
        }
        Bf16(((bits as u64 + 0x7fff + (bits as u64 >> 16 & 1)) >> 16) as u16)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// The Rust types of tensor elements. [`crate::Strings`] is the tensor of strings.
pub trait Element: sealed::Sealed + Copy + Default + 'static {
    /// Its element type.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($t:ty => $d:ident),* $(,)?) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$d;
        }
    )*};
}

elements! {
    f32 => FP32, u8 => UINT8, i8 => INT8, u16 => UINT16, i16 => INT16, i32 => INT32, i64 => INT64, bool => BOOL,
    F16 => FP16, f64 => FP64, u32 => UINT32, u64 => UINT64, Bf16 => BF16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives() {
        for bits in 0..=u16::MAX {
            let (half, brain) = (F16(bits), Bf16(bits));
            assert!(half.to_f32().is_nan() || F16::from_f32(half.to_f32()) == half, "{bits:04x}");
            assert!(brain.to_f32().is_nan() || Bf16::from_f32(brain.to_f32()) == brain, "{bits:04x}");
        }
    }

    #[test]
    fn halves_round_to_even() {
        assert_eq!(F16::from_f32(1.0 + 1.0 / 2048.0), F16::from_f32(1.0));
        assert_eq!(F16::from_f32(65520.0).to_f32(), f32::INFINITY);
        assert!(F16::from_f32(f32::NAN).to_f32().is_nan() && Bf16::from_f32(f32::NAN).to_f32().is_nan());
        assert_eq!(Bf16::from_f32(1.0 + 1.0 / 256.0).to_f32(), 1.0);
    }
}
