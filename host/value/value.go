// Package value owns what travels on an edge of a graph at run time: a tensor, text, JSON, an image, bytes, or a list of
// one of them. It has no goroutines and no locks; a Value must not be changed once it has been handed on.
package value

import (
	"fmt"
	"math"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Value is one value on an edge. The zero Value is absent (an optional port without an edge).
//
// Data is shared, never copied by the functions here: whoever receives a Value reads it and leaves it alone. Memory that
// the garbage collector does not own is kept by whoever made the Value until the request is over.
type Value struct {
	Kind abi.Kind
	// DType and Shape are set for tensors only. Data is little-endian and row-major; for BYTES it is Arrow's layout.
	DType abi.DType
	Shape []int64
	Data  []byte
	// Media is the media type of bytes and images, "" when unknown.
	Media string
	// Items are the values of a list, all of one kind; nil for everything else.
	Items []Value
}

// Text returns a text value over s, which must be UTF-8.
func Text(s string) Value { return Value{Kind: abi.KindText, Data: BytesOf(s)} }

// JSON returns a JSON value over doc, which must be one JSON document.
func JSON(doc []byte) Value { return Value{Kind: abi.KindJSON, Data: doc} }

// Image returns an encoded image over data.
func Image(data []byte, media string) Value {
	return Value{Kind: abi.KindImage, Data: data, Media: media}
}

// Bytes returns opaque bytes over data.
func Bytes(data []byte, media string) Value {
	return Value{Kind: abi.KindBytes, Data: data, Media: media}
}

// List returns a list over items.
func List(items []Value) Value { return Value{Kind: abi.KindList, Items: items} }

// Tensor returns a tensor over data. It does not check; see Value.Check.
func Tensor(d abi.DType, shape []int64, data []byte) Value {
	return Value{Kind: abi.KindTensor, DType: d, Shape: shape, Data: data}
}

// IsZero reports whether v is absent.
func (v Value) IsZero() bool { return v.Kind == abi.KindNone }

// Size returns the bytes of v's payload, items included.
func (v Value) Size() int64 {
	n := int64(len(v.Data))
	for i := range v.Items {
		n += v.Items[i].Size()
	}
	return n
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

// Describe returns what v is in the words of a port: "tensor FP32 [1,3,48,320]", "text", "list of image".
func (v Value) Describe() string {
	switch v.Kind {
	case abi.KindTensor:
		return fmt.Sprintf("tensor %s %s", v.DType, ShapeString(v.Shape))
	case abi.KindList:
		if len(v.Items) == 0 {
			return "list of 0"
		}
		return fmt.Sprintf("list of %d %s", len(v.Items), v.Items[0].Describe())
	default:
		return v.Kind.String()
	}
}

// ShapeString writes a shape as [2,3].
func ShapeString(shape []int64) string {
	b := []byte{'['}
	for i, d := range shape {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Append(b, d)
	}
	return string(append(b, ']'))
}
