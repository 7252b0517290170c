package api

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
)

const (
	raw      = tandemv1.TensorEncoding_TENSOR_ENCODING_RAW
	elements = tandemv1.TensorEncoding_TENSOR_ENCODING_ELEMENTS
)

var allDTypes = []abi.DType{
	abi.FP32, abi.UINT8, abi.INT8, abi.UINT16, abi.INT16, abi.INT32, abi.INT64, abi.BYTES, abi.BOOL, abi.FP16, abi.FP64,
	abi.UINT32, abi.UINT64, abi.BF16,
}

// drawTensor draws a tensor whose elements have one spelling only (no NaN, whose payload the elements do not keep).
func drawTensor(t *rapid.T) value.Value {
	d := rapid.SampledFrom(allDTypes).Draw(t, "dtype")
	shape := rapid.SliceOfN(rapid.Int64Range(0, 4), 0, 3).Draw(t, "shape")
	n, _ := value.Elements(shape)
	if d == abi.BYTES {
		elems := make([][]byte, n)
		for i := range elems {
			elems[i] = []byte(rapid.StringN(0, 5, -1).Draw(t, "element"))
		}
		data, err := runners.PackBytes(elems)
		if err != nil {
			t.Fatal(err)
		}
		return value.Tensor(d, shape, data)
	}
	data := rapid.SliceOfN(rapid.Byte(), int(n)*d.Size(), int(n)*d.Size()).Draw(t, "data")
	for i := range int(n) {
		switch b := data[i*d.Size() : (i+1)*d.Size()]; d {
		case abi.BOOL:
			b[0] &= 1
		case abi.FP16, abi.BF16, abi.FP32, abi.FP64:
			b[len(b)-1] &^= 0x40 // the exponent is not all ones
		default:
		}
	}
	return value.Tensor(d, shape, data)
}

func TestTensorsGoThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawTensor(t)
		for _, enc := range []tandemv1.TensorEncoding{raw, elements} {
			wire, err := valueTo(v, enc)
			if err != nil {
				t.Fatal(err)
			}
			back, err := valueFrom(wire)
			if err != nil {
				t.Fatal(err)
			}
			if back.DType != v.DType || string(back.Data) != string(v.Data) || !cmp.Equal(v.Shape, back.Shape) {
				t.Fatalf("%v: %v became %v", enc, v, back)
			}
		}
	})
}

func TestValuesGoThereAndBack(t *testing.T) {
	for _, v := range []value.Value{
		value.Text("héllo"), value.Text(""), value.JSON([]byte(`{"a":1}`)), value.Image([]byte{1, 2}, "image/png"),
		value.Bytes([]byte{}, ""), value.List(nil), value.List([]value.Value{value.Text("a"), value.Text("b")}),
		value.List([]value.Value{value.List(nil), value.List([]value.Value{value.Text("x")})}),
	} {
		wire, err := valueTo(v, raw)
		if err != nil {
			t.Fatal(err)
		}
		back, err := valueFrom(wire)
		if err != nil {
			t.Fatalf("%s: %v", v.Describe(), err)
		}
		again, err := valueTo(back, raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wire, again, protocmp.Transform()); diff != "" {
			t.Errorf("%s:\n%s", v.Describe(), diff)
		}
	}
}

func tensor(d tandemv1.DataType, shape []int64, data string, e *tandemv1.Elements) *tandemv1.Value {
	return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{DataType: d, Shape: shape, Data: []byte(data), Elements: e}}}
}

func TestWrongValuesAreRefused(t *testing.T) {
	const (
		fp32  = tandemv1.DataType_DATA_TYPE_FP32
		int8t = tandemv1.DataType_DATA_TYPE_INT8
		boolt = tandemv1.DataType_DATA_TYPE_BOOL
		bytes = tandemv1.DataType_DATA_TYPE_BYTES
	)
	deep := &tandemv1.Value{Kind: &tandemv1.Value_Text{Text: "x"}}
	for range maxListDepth + 1 {
		deep = &tandemv1.Value{Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: []*tandemv1.Value{deep}}}}
	}
	for name, v := range map[string]*tandemv1.Value{
		"nothing":             {},
		"nil":                 nil,
		"unknown dtype":       tensor(99, nil, "", nil),
		"too short":           tensor(fp32, []int64{2}, "1234", nil),
		"too long":            tensor(fp32, []int64{}, "12345678", nil),
		"negative size":       tensor(fp32, []int64{-1}, "", nil),
		"overflow":            tensor(fp32, []int64{1 << 40, 1 << 40}, "", nil),
		"both":                tensor(fp32, []int64{1}, "1234", &tandemv1.Elements{Floats: []float64{1}}),
		"two lists":           tensor(fp32, []int64{2}, "", &tandemv1.Elements{Floats: []float64{1}, Ints: []int64{1}}),
		"too few elements":    tensor(fp32, []int64{2}, "", &tandemv1.Elements{Floats: []float64{1}}),
		"ints for floats":     tensor(fp32, []int64{1}, "", &tandemv1.Elements{Ints: []int64{1}}),
		"out of range":        tensor(int8t, []int64{1}, "", &tandemv1.Elements{Ints: []int64{128}}),
		"bool of 2":           tensor(boolt, []int64{1}, "\x02", nil),
		"cut off length":      tensor(bytes, []int64{1}, "\x01\x00", nil),
		"element too long":    tensor(bytes, []int64{1}, "\x05\x00\x00\x00abc", nil),
		"bytes left":          tensor(bytes, []int64{1}, "\x01\x00\x00\x00abc", nil),
		"many empty elements": tensor(bytes, []int64{1 << 40}, "", nil),
		"bad json":            {Kind: &tandemv1.Value_Json{Json: "{"}},
		"two json":            {Kind: &tandemv1.Value_Json{Json: "1 2"}},
		"deep list":           deep,
		"mixed list": {Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: []*tandemv1.Value{
			{Kind: &tandemv1.Value_Text{Text: "x"}}, {Kind: &tandemv1.Value_Json{Json: "1"}},
		}}}},
	} {
		if got, err := valueFrom(v); err == nil {
			t.Errorf("%s: accepted as %s", name, got.Describe())
		}
	}
}

func TestHalfAgreesWithItself(t *testing.T) {
	for h := range 1 << 16 {
		f := halfTo(uint16(h))
		if f != f {
			if back := halfFrom(f); back&0x7c00 != 0x7c00 || back&0x3ff == 0 {
				t.Fatalf("NaN %#04x became %#04x", h, back)
			}
			continue
		}
		if back := halfFrom(f); back != uint16(h) {
			t.Fatalf("%#04x is %v and became %#04x", h, f, back)
		}
	}
}

func TestHalfRounds(t *testing.T) {
	for _, tc := range []struct {
		f    float64
		want uint16
	}{
		{0, 0},
		{math.Copysign(0, -1), 0x8000},
		{1, 0x3c00},
		{65504, 0x7bff},
		{65519, 0x7bff},
		{65520, 0x7c00},
		{1e10, 0x7c00},
		{1 + 1.0/2048, 0x3c00},
		{1 + 3.0/2048, 0x3c02},
		{1 + 1.0/2048 + 1e-6, 0x3c01}, // ties to even
		{math.Exp2(-24), 1},
		{math.Exp2(-25), 0},
		{math.Exp2(-25) * 1.01, 1},
		{math.Exp2(-26), 0},
		{math.Inf(-1), 0xfc00},
	} {
		if got := halfFrom(float32(tc.f)); got != tc.want {
			t.Errorf("%v: got %#04x, want %#04x", tc.f, got, tc.want)
		}
	}
	for _, tc := range []struct {
		f    float32
		want uint16
	}{{1, 0x3f80}, {1 + 1.0/256, 0x3f80}, {1 + 3.0/256, 0x3f82}, {float32(math.Inf(1)), 0x7f80}} {
		if got := bfloatFrom(tc.f); got != tc.want {
			t.Errorf("bfloat16 of %v: got %#04x, want %#04x", tc.f, got, tc.want)
		}
	}
	if got := bfloatFrom(float32(math.NaN())); got&0x7f80 != 0x7f80 || got&0x7f == 0 {
		t.Errorf("bfloat16 of NaN: got %#04x", got)
	}
}
