package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// FuzzInferRequest reads the body of a call in binary and in JSON, as Connect does, and every value in it. What is taken can be
// written again, and means the same then.
func FuzzInferRequest(f *testing.F) {
	for _, v := range []*tandemv1.Value{
		tensor(tandemv1.DataType_DATA_TYPE_FP32, []int64{2}, "12345678", nil),
		tensor(tandemv1.DataType_DATA_TYPE_BYTES, []int64{1}, "\x01\x00\x00\x00x", nil),
		tensor(tandemv1.DataType_DATA_TYPE_INT8, []int64{1 << 40, 1 << 40}, "", nil),
		tensor(tandemv1.DataType_DATA_TYPE_BF16, []int64{2}, "", &tandemv1.Elements{Floats: []float64{1, -1e300}}),
		{Kind: &tandemv1.Value_Text{Text: "x"}},
		{Kind: &tandemv1.Value_Json{Json: `{"a":[1]}`}},
		{Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: []*tandemv1.Value{{}}}}},
	} {
		req := &tandemv1.InferRequest{Graph: "g", Inputs: map[string]*tandemv1.Value{"a": v}}
		b, err := proto.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		if b, err = protojson.Marshal(req); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		binary, text := &tandemv1.InferRequest{}, &tandemv1.InferRequest{}
		if proto.Unmarshal(body, binary) == nil {
			readValues(t, binary)
		}
		if protojson.Unmarshal(body, text) == nil {
			readValues(t, text)
		}
	})
}

func readValues(t *testing.T, req *tandemv1.InferRequest) {
	t.Helper()
	for _, in := range req.GetInputs() {
		v, err := valueFrom(in)
		if err != nil {
			continue
		}
		wire, err := valueTo(v, raw)
		if err != nil {
			t.Fatalf("%v cannot be written: %v", in, err)
		}
		back, err := valueFrom(wire)
		if err != nil {
			t.Fatalf("%v is not read again: %v", wire, err)
		}
		again, err := valueTo(back, raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wire, again, protocmp.Transform()); diff != "" {
			t.Fatalf("%v:\n%s", in, diff)
		}
	}
}
