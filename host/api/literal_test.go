package api

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

func float32s(shape []int64, fs ...float32) value.Value {
	data := []byte{}
	for _, f := range fs {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return value.Tensor(abi.FP32, shape, data)
}

func TestLiterals(t *testing.T) {
	for _, tc := range []struct {
		typ, in string
		want    value.Value
		fails   string
	}{
		{typ: "text", in: "as it is", want: value.Text("as it is")},
		{typ: "text", in: "\xff", fails: "not UTF-8"},
		{typ: "json", in: `{"a": 1}`, want: value.JSON([]byte(`{"a": 1}`))},
		{typ: "json", in: `{`, fails: "not a JSON document"},
		{typ: "image", in: "\x89PNG", want: value.Image([]byte("\x89PNG"), "")},
		{typ: "bytes", in: "\xff", want: value.Bytes([]byte("\xff"), "")},
		{typ: "tensor", in: "[[1,2.5],[3,4]]", want: float32s([]int64{2, 2}, 1, 2.5, 3, 4)},
		{typ: "tensor FP32 []", in: " 3 ", want: float32s([]int64{}, 3)},
		{typ: "tensor FP32 [n,2]", in: "[]", want: float32s([]int64{0})},
		{typ: "tensor", in: "[[],[]]", want: float32s([]int64{2, 0})},
		{typ: "tensor INT8", in: "[-1,127]", want: value.Tensor(abi.INT8, []int64{2}, []byte{0xff, 0x7f})},
		{typ: "tensor UINT64", in: "[18446744073709551615]", want: value.Tensor(abi.UINT64, []int64{1}, []byte{255, 255, 255, 255, 255, 255, 255, 255})},
		{typ: "tensor BOOL", in: "[true,false]", want: value.Tensor(abi.BOOL, []int64{2}, []byte{1, 0})},
		{typ: "tensor INT8", in: "[128]", fails: "128"},
		{typ: "tensor INT8", in: "[1.5]", fails: "1.5"},
		{typ: "tensor", in: "[[1,2],[3]]", fails: "lists at level 1 have 2 and 1 items"},
		{typ: "tensor", in: "[1,[2]]", fails: "not nested equally deep"},
		{typ: "tensor", in: "[[1],2]", fails: "not nested equally deep"},
		{typ: "tensor", in: "[[],1]", fails: "not nested equally deep"},
		{typ: "tensor", in: "[1", fails: "nested JSON lists"},
		{typ: "tensor", in: "[1] 2", fails: "more after"},
		{typ: "tensor", in: "{}", fails: "neither number, text nor truth value"},
		{typ: "tensor", in: "[null]", fails: "neither number, text nor truth value"},
		{typ: "tensor", in: strings.Repeat("[", 9) + strings.Repeat("]", 9), fails: "deeper than 8"},
		{typ: "list of text", in: `["a","b"]`, want: value.List([]value.Value{value.Text("a"), value.Text("b")})},
		{typ: "list of list of text", in: `[["a"],[]]`, want: value.List([]value.Value{value.List([]value.Value{value.Text("a")}), value.List([]value.Value{})})},
		{typ: "list of tensor FP32 [n]", in: `[[1],[2,3]]`, want: value.List([]value.Value{float32s([]int64{1}, 1), float32s([]int64{2}, 2, 3)})},
		{typ: "list of json", in: `[{"a":1}, 2]`, want: value.List([]value.Value{value.JSON([]byte(`{"a":1}`)), value.JSON([]byte(`2`))})},
		{typ: "list of text", in: `"a"`, fails: "want a JSON array"},
		{typ: "list of tensor", in: `[[1],["x"]]`, fails: "item 1"},
	} {
		typ, err := graph.ParseType(tc.typ)
		if err != nil {
			t.Fatal(err)
		}
		got, err := literalFrom(typ, []byte(tc.in))
		switch {
		case tc.fails != "":
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s from %q: got %v, want %q", tc.typ, tc.in, err, tc.fails)
			}
		case err != nil:
			t.Errorf("%s from %q: %v", tc.typ, tc.in, err)
		default:
			if d := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("%s from %q (-want +got):\n%s", tc.typ, tc.in, d)
			}
		}
	}
}

func TestLiteralsAreReadAsTheGraphSays(t *testing.T) {
	literal := func(s string) *tandemv1.Value {
		return &tandemv1.Value{Kind: &tandemv1.Value_Literal{Literal: []byte(s)}}
	}
	req := &tandemv1.InferRequest{Graph: "g", Inputs: map[string]*tandemv1.Value{"x": literal("[1"), "y": literal("["), "z": literal("z")}}
	in, err := inputsFrom(req)
	if err != nil {
		t.Fatal(err)
	}
	plan := &graph.Plan{Inputs: []graph.PlanInput{
		{Name: "x", Type: graph.Type{Kind: abi.KindTensor}}, {Name: "y", Type: graph.Type{Kind: abi.KindJSON}}, {Name: "z", Type: graph.Type{Kind: abi.KindJSON}},
	}}
	errs, ok := readLiterals(req, plan, in).(engine.Errors) //nolint:errorlint // the very type is promised
	if !ok || len(errs) != 3 || errs[0].Port != "x" || errs[2].Reason != engine.ReasonInput {
		t.Errorf("got %v, want one for each input", errs)
	}
	if _, err := valueFrom(&tandemv1.Value{Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: []*tandemv1.Value{literal("a")}}}}); err == nil {
		t.Error("a literal in a list was taken")
	}
}

func FuzzLiteral(f *testing.F) {
	for _, s := range []string{"[[1,2],[3,4]]", "[", "1e999", `["a"]`, "[true]"} {
		for i := range uint8(6) {
			f.Add(i, []byte(s))
		}
	}
	types := []string{"tensor", "tensor INT64 [n]", "tensor BYTES", "list of tensor BOOL", "list of text", "json"}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		typ, err := graph.ParseType(types[int(which)%len(types)])
		if err != nil {
			t.Fatal(err)
		}
		if v, err := literalFrom(typ, data); err == nil && engine.CheckContents(v) != nil {
			t.Fatalf("%s from %q gives what its kind is not: %v", typ, data, engine.CheckContents(v))
		}
	})
}
