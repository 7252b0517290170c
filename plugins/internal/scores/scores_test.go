package scores

import (
	"math"
	"testing"
)

func TestSoftmax(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct{ in, want []float32 }{
		{[]float32{0, 0}, []float32{0.5, 0.5}},
		{[]float32{1000, 1000, -1000}, []float32{0.5, 0.5, 0}},
		{[]float32{0, float32(math.Log(3))}, []float32{0.25, 0.75}},
		{[]float32{inf, 0, inf}, []float32{0.5, 0, 0.5}},
		{[]float32{-inf, 0}, []float32{0, 1}},
		{[]float32{-inf, -inf}, []float32{0.5, 0.5}},
		{nil, nil},
	} {
		got := Softmax(c.in)
		for i := range c.want {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-6 {
				t.Errorf("%v: got %v, want %v", c.in, got, c.want)
				break
			}
		}
	}
}

func TestTop(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		in   []float32
		want int
	}{
		{nil, -1},
		{[]float32{1}, 0},
		{[]float32{1, 3, 3, 2}, 1},
		{[]float32{nan, 1, nan}, 1},
		{[]float32{nan, nan}, 0},
	} {
		if got := Top(c.in); got != c.want {
			t.Errorf("%v: got %d, want %d", c.in, got, c.want)
		}
	}
}

func TestCheckLabels(t *testing.T) {
	for _, bad := range [][]string{nil, {""}, {"a", "b", "a"}} {
		if CheckLabels(bad) == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if err := CheckLabels([]string{"a", "b"}); err != nil {
		t.Error(err)
	}
}
