package plugin

import (
	"errors"
	"unsafe"
)

// AnyTensor is a tensor whose element type is known only when the function runs. Data is little-endian; for BYTES it is
// u32 offsets[n+1] followed by the bytes of all elements.
type AnyTensor struct {
	DType DType
	Shape []int64
	Data  []byte
}

// AnyOf returns t without its element type, over the same memory; strings are written out.
func AnyOf[T Element](t Tensor[T]) AnyTensor {
	a := AnyTensor{DType: dtypeOf[T](), Shape: t.Shape}
	if s, ok := any(t.Data).([]string); ok {
		a.Data = appendStrings(nil, s)
		return a
	}
	a.Data = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(t.Data))), len(t.Data)*a.DType.Size())
	return a
}

// As returns a as a tensor of T over the same memory; ok is false when its element type is another one.
func As[T Element](a AnyTensor) (t Tensor[T], ok bool) {
	if a.DType != dtypeOf[T]() {
		return t, false
	}
	t.Shape = a.Shape
	if a.DType == BYTES {
		n, _ := elements(a.Shape)
		s, err := stringsOf(a.Data, n)
		if err != nil {
			return t, false
		}
		t.Data, ok = any(s).([]T)
		return t, ok
	}
	t.Data = view[T](a.Data)
	return t, true
}

// Float32s returns the elements as float32: the memory itself for FP32, a converted copy for the other numbers. It is an
// error for BYTES and BOOL.
func (a AnyTensor) Float32s() ([]float32, error) {
	switch a.DType {
	case FP32:
		return view[float32](a.Data), nil
	case FP64:
		return convert(view[float64](a.Data)), nil
	case FP16:
		return convertBits(view[Float16](a.Data)), nil
	case BF16:
		return convertBits(view[BFloat16](a.Data)), nil
	case INT8:
		return convert(view[int8](a.Data)), nil
	case INT16:
		return convert(view[int16](a.Data)), nil
	case INT32:
		return convert(view[int32](a.Data)), nil
	case INT64:
		return convert(view[int64](a.Data)), nil
	case UINT8:
		return convert(a.Data), nil
	case UINT16:
		return convert(view[uint16](a.Data)), nil
	case UINT32:
		return convert(view[uint32](a.Data)), nil
	case UINT64:
		return convert(view[uint64](a.Data)), nil
	default:
		return nil, errors.New("a " + a.DType.String() + " tensor holds no numbers")
	}
}

func view[T Element](b []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(*new(T))))
}

func convert[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float64](s []T) []float32 {
	out := make([]float32, len(s))
	for i, v := range s {
		out[i] = float32(v)
	}
	return out
}

func convertBits[T interface{ Float32() float32 }](s []T) []float32 {
	out := make([]float32, len(s))
	for i, v := range s {
		out[i] = v.Float32()
	}
	return out
}

func dtypeOf[T Element]() DType {
	switch any(*new(T)).(type) {
	case bool:
		return BOOL
	case int8:
		return INT8
	case int16:
		return INT16
	case int32:
		return INT32
	case int64:
		return INT64
	case uint8:
		return UINT8
	case uint16:
		return UINT16
	case uint32:
		return UINT32
	case uint64:
		return UINT64
	case float32:
		return FP32
	case float64:
		return FP64
	case Float16:
		return FP16
	case BFloat16:
		return BF16
	default:
		return BYTES
	}
}
