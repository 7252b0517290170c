package sharing

import "testing"

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 3}} {
		if got := median(test.in); got != test.want {
			t.Errorf("%v: got %v, want %v", test.in, got, test.want)
		}
	}
}

// Every call asks for the same work, and names every input of the model.
func TestProduct(t *testing.T) {
	in := product()
	x := in["x"].GetTensor()
	if len(in) != 2 || len(x.GetData()) != 4*side*side || x.GetData()[3] != 0x3f || x.GetData()[4*(side+1)+3] != 0x3f {
		t.Errorf("got %d inputs, x of %d bytes", len(in), len(x.GetData()))
	}
}
