package api

import (
	"fmt"
	"unicode/utf8"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// maxListDepth bounds lists in lists in a request, as graphs do.
const maxListDepth = 4

var dtypeOf = map[tandemv1.DataType]abi.DType{
	tandemv1.DataType_DATA_TYPE_BOOL:   abi.BOOL,
	tandemv1.DataType_DATA_TYPE_UINT8:  abi.UINT8,
	tandemv1.DataType_DATA_TYPE_UINT16: abi.UINT16,
	tandemv1.DataType_DATA_TYPE_UINT32: abi.UINT32,
	tandemv1.DataType_DATA_TYPE_UINT64: abi.UINT64,
	tandemv1.DataType_DATA_TYPE_INT8:   abi.INT8,
	tandemv1.DataType_DATA_TYPE_INT16:  abi.INT16,
	tandemv1.DataType_DATA_TYPE_INT32:  abi.INT32,
	tandemv1.DataType_DATA_TYPE_INT64:  abi.INT64,
	tandemv1.DataType_DATA_TYPE_FP16:   abi.FP16,
	tandemv1.DataType_DATA_TYPE_BF16:   abi.BF16,
	tandemv1.DataType_DATA_TYPE_FP32:   abi.FP32,
	tandemv1.DataType_DATA_TYPE_FP64:   abi.FP64,
	tandemv1.DataType_DATA_TYPE_BYTES:  abi.BYTES,
}

var dataTypeOf = invert(dtypeOf)

func invert[K, V comparable](m map[K]V) map[V]K {
	out := make(map[V]K, len(m))
	for k, v := range m {
		out[v] = k
	}
	return out
}

// valueFrom reads a value from the wire and checks what is in it. Data is not copied where its layout allows.
func valueFrom(v *tandemv1.Value) (value.Value, error) {
	out, err := kindFrom(v, 0)
	if err != nil {
		return value.Value{}, err
	}
	return out, engine.CheckContents(out)
}

// kindFrom reads a value that stands in depth lists.
func kindFrom(v *tandemv1.Value, depth int) (value.Value, error) {
	switch k := v.GetKind().(type) {
	case *tandemv1.Value_Tensor:
		return tensorFrom(k.Tensor)
	case *tandemv1.Value_Text:
		return value.Text(k.Text), nil
	case *tandemv1.Value_Json:
		return value.JSON(value.BytesOf(k.Json)), nil
	case *tandemv1.Value_Image:
		return value.Image(k.Image.GetData(), k.Image.GetMediaType()), nil
	case *tandemv1.Value_Bytes:
		return value.Bytes(k.Bytes.GetData(), k.Bytes.GetMediaType()), nil
	case *tandemv1.Value_List:
		return listFrom(k.List.GetItems(), depth)
	case *tandemv1.Value_Literal:
		if depth > 0 {
			return value.Value{}, fmt.Errorf("a literal is for an input of a graph, not inside a list")
		}
		// What it is depends on the graph, which readLiterals knows; until then it is what it looks like.
		if utf8.Valid(k.Literal) {
			return value.Text(value.StringOf(k.Literal)), nil
		}
		return value.Bytes(k.Literal, ""), nil
	default:
		return value.Value{}, fmt.Errorf("no value is set")
	}
}

func listFrom(items []*tandemv1.Value, depth int) (value.Value, error) {
	if depth == maxListDepth {
		return value.Value{}, fmt.Errorf("lists are nested deeper than %d", maxListDepth)
	}
	out := make([]value.Value, len(items))
	for i, item := range items {
		v, err := kindFrom(item, depth+1)
		if err != nil {
			return value.Value{}, fmt.Errorf("item %d: %w", i, err)
		}
		out[i] = v
	}
	return value.List(out), nil
}

func tensorFrom(t *tandemv1.Tensor) (value.Value, error) {
	d, ok := dtypeOf[t.GetDataType()]
	if !ok {
		return value.Value{}, fmt.Errorf("data_type %d is unknown", t.GetDataType())
	}
	shape := t.GetShape()
	if shape == nil {
		shape = []int64{}
	}
	n, ok := value.Elements(shape)
	if !ok {
		return value.Value{}, fmt.Errorf("shape %v has a negative size or too many elements", shape)
	}
	data, err := t.GetData(), error(nil)
	switch {
	case t.GetElements() != nil && len(data) > 0:
		return value.Value{}, fmt.Errorf("both data and elements are set")
	case t.GetElements() != nil:
		data, err = elementsFrom(t.GetElements(), d, n)
	case d == abi.BYTES:
		data, err = arrowFrom(data, n)
	}
	if err != nil {
		return value.Value{}, err
	}
	return value.Tensor(d, shape, data), nil
}

// valueTo writes a value to the wire. Data is not copied where its layout allows, and is needed until the message has been encoded.
func valueTo(v value.Value, enc tandemv1.TensorEncoding) (*tandemv1.Value, error) {
	switch v.Kind {
	case abi.KindTensor:
		t, err := tensorTo(v, enc)
		return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: t}}, err
	case abi.KindText:
		return &tandemv1.Value{Kind: &tandemv1.Value_Text{Text: value.StringOf(v.Data)}}, nil
	case abi.KindJSON:
		return &tandemv1.Value{Kind: &tandemv1.Value_Json{Json: value.StringOf(v.Data)}}, nil
	case abi.KindImage:
		return &tandemv1.Value{Kind: &tandemv1.Value_Image{Image: mediaTo(v)}}, nil
	case abi.KindBytes:
		return &tandemv1.Value{Kind: &tandemv1.Value_Bytes{Bytes: mediaTo(v)}}, nil
	case abi.KindList:
		list := &tandemv1.ValueList{Items: make([]*tandemv1.Value, len(v.Items))}
		for i := range v.Items {
			item, err := valueTo(v.Items[i], enc)
			if err != nil {
				return nil, err
			}
			list.Items[i] = item
		}
		return &tandemv1.Value{Kind: &tandemv1.Value_List{List: list}}, nil
	case abi.KindNone:
	}
	return nil, fmt.Errorf("a value of kind %s has no form on the wire", v.Kind)
}

func mediaTo(v value.Value) *tandemv1.Media {
	return &tandemv1.Media{Data: v.Data, MediaType: v.Media}
}

func tensorTo(v value.Value, enc tandemv1.TensorEncoding) (*tandemv1.Tensor, error) {
	t := &tandemv1.Tensor{DataType: dataTypeOf[v.DType], Shape: v.Shape}
	n, ok := value.Elements(v.Shape)
	if !ok {
		return nil, fmt.Errorf("shape %v", v.Shape)
	}
	var err error
	switch {
	case enc == tandemv1.TensorEncoding_TENSOR_ENCODING_ELEMENTS:
		t.Elements, err = elementsTo(v, n)
	case v.DType == abi.BYTES:
		t.Data, err = arrowTo(v.Data, n)
	default:
		t.Data = v.Data
	}
	return t, err
}
