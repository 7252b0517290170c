package plugin

import "math"

// DType is the element type of a tensor, numbered as in ONNX and named as in the Open Inference Protocol.
type DType uint8

// Element types of tensors.
const (
	FP32   DType = 1
	UINT8  DType = 2
	INT8   DType = 3
	UINT16 DType = 4
	INT16  DType = 5
	INT32  DType = 6
	INT64  DType = 7
	BYTES  DType = 8
	BOOL   DType = 9
	FP16   DType = 10
	FP64   DType = 11
	UINT32 DType = 12
	UINT64 DType = 13
	BF16   DType = 16
)

var dtypes = [...]struct {
	name string
	size uint8
}{
	FP32: {"FP32", 4}, UINT8: {"UINT8", 1}, INT8: {"INT8", 1}, UINT16: {"UINT16", 2}, INT16: {"INT16", 2},
	INT32: {"INT32", 4}, INT64: {"INT64", 8}, BYTES: {"BYTES", 0}, BOOL: {"BOOL", 1}, FP16: {"FP16", 2},
	FP64: {"FP64", 8}, UINT32: {"UINT32", 4}, UINT64: {"UINT64", 8}, BF16: {"BF16", 2},
}

// String returns the Open Inference Protocol's name, "" for a number that stands for no element type.
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return ""
}

// Size returns the bytes of one element; 0 for BYTES, whose elements vary, and for unknown types.
func (d DType) Size() int {
	if int(d) < len(dtypes) {
		return int(dtypes[d].size)
	}
	return 0
}

// Float16 is an IEEE 754 half-precision number by its bits.
type Float16 uint16

// Float32 returns the number; every half-precision number has an exact single-precision one.
func (f Float16) Float32() float32 {
	sign := uint32(f&0x8000) << 16
	exp := uint32(f>>10) & 0x1f
	frac := uint32(f & 0x3ff)
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	default: // zero and subnormal: frac * 2^-24
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(v) | sign)
	}
}

// ToFloat16 returns v rounded to the nearest half-precision number, ties to even; too large becomes infinite.
func ToFloat16(v float32) Float16 {
	bits := math.Float32bits(v)
	sign := Float16(bits >> 16 & 0x8000)
	abs := bits & 0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00
	case abs >= 0x477ff000: // rounds to 65536 or above
		return sign | 0x7c00
	case abs < 0x38800000: // below 2^-14: let the adder round to a multiple of 2^-24
		return sign | Float16(math.Float32bits(math.Float32frombits(abs)+0.5)&0x7ff)
	default:
		abs += 0xfff + abs>>13&1
		return sign | Float16((abs-112<<23)>>13)
	}
}

// BFloat16 is a bfloat16 number by its bits: the upper half of a float32.
type BFloat16 uint16

// Float32 returns the number exactly.
func (f BFloat16) Float32() float32 { return math.Float32frombits(uint32(f) << 16) }

// ToBFloat16 returns v rounded to the nearest bfloat16, ties to even.
func ToBFloat16(v float32) BFloat16 {
	bits := math.Float32bits(v)
	if bits&0x7fffffff > 0x7f800000 {
		return BFloat16(bits>>16 | 0x40)
	}
	return BFloat16((bits + 0x7fff + bits>>16&1) >> 16)
}
