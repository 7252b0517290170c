package api

import "math"

// halfFrom rounds f to IEEE 754 binary16, ties to even, as section 4.3.1 of the standard says.
func halfFrom(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	exp := int(bits>>23&0xff) - 127
	frac := bits & 0x7fffff
	switch {
	case exp == 128 && frac != 0:
		return sign | 0x7e00
	case exp > 15:
		return sign | 0x7c00
	case exp >= -14:
		return sign | roundShift(uint32(exp+15)<<23|frac, 13)
	case exp >= -25:
		return sign | roundShift(frac|0x800000, uint(-exp-1))
	default:
		return sign
	}
}

// roundShift returns x>>n rounded to nearest, ties to even. A carry out of the fraction goes into the exponent, which is
// what rounding up to the next power of two, or to infinity, means.
func roundShift(x uint32, n uint) uint16 {
	half := uint32(1) << (n - 1)
	rest := x & (half<<1 - 1)
	out := x >> n
	if rest > half || (rest == half && out&1 == 1) {
		out++
	}
	return uint16(out)
}

// halfTo widens an IEEE 754 binary16; every one is exact in a float32.
func halfTo(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h >> 10 & 0x1f)
	frac := uint32(h & 0x3ff)
	switch exp {
	case 0:
		f := float32(frac) / (1 << 24)
		if sign != 0 {
			return -f
		}
		return f
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	default:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
}

// bfloatFrom rounds f to bfloat16, ties to even.
func bfloatFrom(f float32) uint16 {
	bits := math.Float32bits(f)
	if f != f {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
