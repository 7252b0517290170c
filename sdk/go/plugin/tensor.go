package plugin

import (
	"errors"
	"strconv"
	"unsafe"
)

// Element lists the Go types of tensor elements. A string element is one element of a BYTES tensor.
type Element interface {
	bool | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64 | Float16 | BFloat16 | string
}

// Tensor is an array of numbers, truth values or strings in row-major order. The product of Shape is len(Data); an empty
// Shape is a scalar. As an input it is a view of the server's memory: read-only, and valid until the function returns.
type Tensor[T Element] struct {
	Shape []int64
	Data  []T
}

// dataAlign is the alignment of tensor data at the border, in bytes.
const dataAlign = 64

// NewTensor returns a tensor of zeros, aligned so that the server takes it without a copy. A negative or overflowing
// shape gives a tensor without data, which [Tensor.Check] and the server refuse.
func NewTensor[T Element](shape ...int64) Tensor[T] {
	t := Tensor[T]{Shape: shape}
	n, ok := elements(shape)
	if !ok {
		return t
	}
	size := int(unsafe.Sizeof(*new(T)))
	if size > 8 { // strings are written out anyway
		t.Data = make([]T, n)
		return t
	}
	pad := dataAlign / size
	data := make([]T, n+pad)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(data)))%dataAlign) / size
	t.Data = data[skip : skip+n : skip+n]
	return t
}

// Of returns a tensor over data. The caller must not change data afterwards.
func Of[T Element](data []T, shape ...int64) Tensor[T] { return Tensor[T]{Shape: shape, Data: data} }

// Scalar returns a tensor of rank 0.
func Scalar[T Element](v T) Tensor[T] {
	t := NewTensor[T]()
	t.Data[0] = v
	return t
}

// Check reports whether the shape fits the data and has at most 8 dimensions.
func (t Tensor[T]) Check() error { return checkShape(t.Shape, len(t.Data)) }

// Dim returns the size of dimension i, 0 when the tensor has no such dimension.
func (t Tensor[T]) Dim(i int) int {
	if i < 0 || i >= len(t.Shape) {
		return 0
	}
	return int(t.Shape[i])
}

func checkShape(shape []int64, have int) error {
	n, ok := elements(shape)
	if ok && n == have && len(shape) <= maxRank {
		return nil
	}
	b := []byte("shape [")
	for i, d := range shape {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, d, 10)
	}
	b = append(b, "] does not fit "...)
	b = strconv.AppendInt(b, int64(have), 10)
	return errors.New(string(append(b, " elements"...)))
}

// elements returns the product of shape; ok is false when it is negative or beyond what memory can hold.
func elements(shape []int64) (n int, ok bool) {
	n64 := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n64 > (1<<40)/d {
			return 0, false
		}
		n64 *= d
	}
	return int(n64), true
}
