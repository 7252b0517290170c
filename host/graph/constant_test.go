package graph_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

func TestConstantBytes(t *testing.T) {
	for _, tc := range []struct {
		dtype, value string
		shape        []int64
		want         []byte
	}{
		{"FP32", "1", []int64{}, []byte{0, 0, 0x80, 0x3f}},
		{"FP32", "[1, -2]", []int64{2}, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}},
		{"FP64", "[[0.5]]", []int64{1, 1}, []byte{0, 0, 0, 0, 0, 0, 0xe0, 0x3f}},
		{"INT8", "[-1, 127, -128]", []int64{3}, []byte{0xff, 0x7f, 0x80}},
		{"UINT64", "18446744073709551615", []int64{}, []byte{255, 255, 255, 255, 255, 255, 255, 255}},
		{"INT32", "[]", []int64{0}, []byte{}},
		{"INT32", "[[], []]", []int64{2, 0}, []byte{}},
		{"BOOL", "[true, false]", []int64{2}, []byte{1, 0}},
		{"BYTES", `["a", "", "bc"]`, []int64{3}, []byte{0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c'}},
		{"FP16", "[1, -2, 65504, 0.1, 5.960464477539063e-8, 0, -0.0, 65519]", []int64{8}, []byte{
			0, 0x3c, 0, 0xc0, 0xff, 0x7b, 0x66, 0x2e, 1, 0, 0, 0, 0, 0x80, 0xff, 0x7b,
		}},
		{"FP16", "[6.1035e-5, 6.097555160522461e-05, 0.00006103515625, 1.0009765625, 1.00048828125, 2049]", []int64{6}, []byte{
			0, 4, 0xff, 3, 0, 4, 1, 0x3c, 0, 0x3c, 0, 0x68,
		}},
		{"BF16", "[1, 1.00390625, 1.01171875, -3.5]", []int64{4}, []byte{0x80, 0x3f, 0x80, 0x3f, 0x82, 0x3f, 0x60, 0xc0}},
	} {
		src := fmt.Sprintf("graph: g\ninputs: {a: {type: tensor, dtype: %s, default: %s}}\noutputs: {t: a}\n", tc.dtype, tc.value)
		p, err := graph.Check([]byte(src), newWorld(t))
		if err != nil {
			t.Errorf("%s %s: %v", tc.dtype, tc.value, err)
			continue
		}
		dtype, _ := abi.ParseDType(tc.dtype)
		want := &graph.Const{Kind: abi.KindTensor, DType: dtype, Shape: tc.shape, Data: tc.want}
		if d := cmp.Diff(want, p.Inputs[0].Default); d != "" {
			t.Errorf("%s %s: %s", tc.dtype, tc.value, d)
		}
	}
}
