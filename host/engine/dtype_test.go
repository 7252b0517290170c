package engine

import (
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/runners"
)

// TestDTypesAgree keeps the numbers and names of element types equal on both sides of the engine, which converts between
// them by a cast.
func TestDTypesAgree(t *testing.T) {
	for i := range 256 {
		a, r := abi.DType(i), runners.DType(i)
		if a.Valid() != r.Valid() || a.String() != r.String() || a.Size() != r.Size() {
			t.Errorf("%d: abi has %v (%d bytes), runners has %v (%d bytes)", i, a, a.Size(), r, r.Size())
		}
	}
}
