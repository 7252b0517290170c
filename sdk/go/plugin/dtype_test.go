package plugin

import (
	"math"
	"testing"
)

func TestFloat16(t *testing.T) {
	for _, c := range []struct {
		bits Float16
		want float32
	}{
		{0, 0},
		{0x3c00, 1},
		{0xc000, -2},
		{0x7bff, 65504},
		{0x0001, 1.0 / (1 << 24)},
		{0x03ff, 1023.0 / (1 << 24)},
		{0x0400, 1.0 / (1 << 14)},
		{0x3555, 0.333251953125},
		{0x7c00, float32(math.Inf(1))},
		{0xfc00, float32(math.Inf(-1))},
	} {
		if got := c.bits.Float32(); got != c.want {
			t.Errorf("%#x: got %v, want %v", c.bits, got, c.want)
		}
	}
	if !math.IsNaN(float64(Float16(0x7e01).Float32())) {
		t.Error("0x7e01 is not NaN")
	}
}

func TestFloat16RoundTrip(t *testing.T) {
	for i := range 1 << 16 {
		h := Float16(i)
		f := h.Float32()
		got := ToFloat16(f)
		if f != f {
			if got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
				t.Errorf("%#x: NaN became %#x", i, got)
			}
			continue
		}
		if got != h {
			t.Errorf("%#x: got %#x back from %v", i, got, f)
		}
	}
}

func TestToFloat16Rounds(t *testing.T) {
	for _, c := range []struct {
		v    float32
		want Float16
	}{
		{1 + 1.0/2048, 0x3c00},             // a tie goes to even
		{1 + 3.0/2048, 0x3c02},             // a tie goes to even
		{1 + 1.0/2048 + 1.0/65536, 0x3c01}, // above the tie
		{65519, 0x7bff},
		{65520, 0x7c00},
		{-1e10, 0xfc00},
		{1.0 / (1 << 25), 0}, // a tie goes to even
		{3.0 / (1 << 25), 2},
	} {
		if got := ToFloat16(c.v); got != c.want {
			t.Errorf("%v: got %#x, want %#x", c.v, got, c.want)
		}
	}
}

func TestBFloat16(t *testing.T) {
	for i := range 1 << 16 {
		f := BFloat16(i).Float32()
		if got := ToBFloat16(f); f == f && got != BFloat16(i) {
			t.Errorf("%#x: got %#x back from %v", i, got, f)
		}
	}
	if got := ToBFloat16(1.00390625); got != 0x3f80 { // a tie goes to even
		t.Errorf("got %#x, want 0x3f80", got)
	}
	if got := ToBFloat16(float32(math.NaN())).Float32(); got == got {
		t.Errorf("got %v, want NaN", got)
	}
}
