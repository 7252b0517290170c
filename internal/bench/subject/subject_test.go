package subject_test

import (
	"testing"

	"github.com/tandem-serve/tandem/internal/bench/subject"
)

// Every call asks for the same work, and names every input of the model.
func TestProduct(t *testing.T) {
	in := subject.Product(300)
	x := in["x"].GetTensor()
	if len(in) != 2 || len(x.GetData()) != 4*subject.Side*subject.Side || x.GetData()[3] != 0x3f || x.GetData()[4*(subject.Side+1)+3] != 0x3f {
		t.Errorf("got %d inputs, x of %d bytes", len(in), len(x.GetData()))
	}
}

// Noise is the same in every run, and not all alike.
func TestNoise(t *testing.T) {
	var a, b [64]byte
	subject.Noise(a[:])
	subject.Noise(b[:])
	if a != b || [32]byte(a[:32]) == [32]byte(a[32:]) {
		t.Errorf("got %v and %v", a, b)
	}
}
