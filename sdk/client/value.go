package client

import (
	"encoding/binary"
	"math"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// Text returns a text value.
func Text(s string) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_Text{Text: s}}
}

// JSON returns a JSON value; doc is one JSON document.
func JSON(doc string) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_Json{Json: doc}}
}

// Image returns an encoded image (JPEG, PNG, WebP, GIF). data is not copied.
func Image(data []byte) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_Image{Image: &tandemv1.Media{Data: data}}}
}

// Bytes returns opaque bytes with a media type, which may be empty. data is not copied.
func Bytes(data []byte, mediaType string) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_Bytes{Bytes: &tandemv1.Media{Data: data, MediaType: mediaType}}}
}

// Literal returns an input as somebody typed it, or a file's content, which the server reads as the type of the graph's input:
// tensors as nested JSON lists, lists as a JSON array, all else as it stands. data is not copied.
func Literal(data []byte) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_Literal{Literal: data}}
}

// List returns a list of values of one kind.
func List(items ...*tandemv1.Value) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: items}}}
}

// Tensor returns a tensor over little-endian, row-major data, which is not copied.
func Tensor(dtype tandemv1.DataType, shape []int64, data []byte) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{DataType: dtype, Shape: shape, Data: data}}}
}

// Float32s returns an FP32 tensor with a copy of v.
func Float32s(shape []int64, v []float32) *tandemv1.Value {
	data := make([]byte, 0, 4*len(v))
	for _, f := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return Tensor(tandemv1.DataType_DATA_TYPE_FP32, shape, data)
}

// Int64s returns an INT64 tensor with a copy of v.
func Int64s(shape []int64, v []int64) *tandemv1.Value {
	data := make([]byte, 0, 8*len(v))
	for _, n := range v {
		data = binary.LittleEndian.AppendUint64(data, uint64(n))
	}
	return Tensor(tandemv1.DataType_DATA_TYPE_INT64, shape, data)
}
