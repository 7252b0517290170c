package runners

import (
	"fmt"
	"math"
)

// Tensor is one input or output of a run: little-endian, row-major data over memory that the caller or the runner owns.
// BYTES elements are laid out as Arrow does: u32 offsets[n+1], then the bytes of all elements.
type Tensor struct {
	DType DType
	Shape []int64
	Data  []byte
	free  func()
}

// Adopted returns a tensor over memory that free gives back. Runners use it for outputs that they allocate.
func Adopted(d DType, shape []int64, data []byte, free func()) Tensor {
	return Tensor{DType: d, Shape: shape, Data: data, free: free}
}

// Release gives back what a runner allocated for an output; Data must not be used afterwards. It does nothing for tensors
// over the caller's own memory and may be called more than once, but not from two goroutines at once.
func (t *Tensor) Release() {
	if t.free != nil {
		t.free()
		t.free, t.Data = nil, nil
	}
}

// Elements returns the product of shape; ok is false when a dimension is negative or the product overflows an int64.
func Elements(shape []int64) (n int64, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || (d > 0 && n > math.MaxInt64/d) {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Check reports whether t's data is as long as its dtype and shape say, and for BYTES whether the offsets lie inside it
// and ascend. The error wraps ErrShape.
func (t *Tensor) Check() error {
	n, ok := Elements(t.Shape)
	if !ok || !t.DType.Valid() {
		return fmt.Errorf("%w: %s %v", ErrShape, t.DType, t.Shape)
	}
	if t.DType == BYTES {
		return checkOffsets(t.Data, n)
	}
	size := int64(t.DType.Size())
	if n > math.MaxInt64/size || n*size != int64(len(t.Data)) {
		return fmt.Errorf("%w: %s %v needs %d elements of %d bytes, got %d bytes", ErrShape, t.DType, t.Shape, n, size, len(t.Data))
	}
	return nil
}
