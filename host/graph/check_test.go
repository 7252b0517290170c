package graph_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

func TestTypeCheck(t *testing.T) {
	parse := func(s string) graph.Type {
		typ, err := graph.ParseType(s)
		if err != nil {
			t.Fatal(err)
		}
		return typ
	}
	for _, tc := range []struct {
		typ   string
		kind  abi.Kind
		dtype abi.DType
		shape []int64
		want  string // "" fits
	}{
		{"text", abi.KindText, 0, nil, ""},
		{"text", abi.KindJSON, 0, nil, "expected text, found json: the kind differs"},
		{"tensor", abi.KindTensor, abi.BF16, []int64{1, 2}, ""},
		{"tensor FP32", abi.KindTensor, abi.FP64, nil, "expected tensor FP32, found tensor FP64 []: the element type differs"},
		{"tensor FP32 [n,3]", abi.KindTensor, abi.FP32, []int64{4, 3}, ""},
		{"tensor FP32 [n,3]", abi.KindTensor, abi.FP32, []int64{4, 2}, "expected tensor FP32 [n,3], found tensor FP32 [4,2]: dimension 1 is 2, not 3"},
		{"tensor FP32 [n,n]", abi.KindTensor, abi.FP32, []int64{4, 5}, "expected tensor FP32 [n,n], found tensor FP32 [4,5]: dimension 1 is 5, not 4 as n is elsewhere in this node"},
		{"tensor FP32 [?,?]", abi.KindTensor, abi.FP32, []int64{4, 5}, ""},
		{"tensor FP32 []", abi.KindTensor, abi.FP32, []int64{}, ""},
		{"tensor FP32 []", abi.KindTensor, abi.FP32, []int64{1}, "expected tensor FP32 [], found tensor FP32 [1]: the rank is 1, not 0"},
	} {
		err := parse(tc.typ).Check(tc.kind, tc.dtype, tc.shape, graph.Bindings{})
		got := ""
		if err != nil {
			got = err.Error()
			if _, ok := errors.AsType[*graph.Mismatch](err); !ok {
				t.Errorf("got %T, want *graph.Mismatch", err)
			}
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.typ, got, tc.want)
		}
	}
}

func TestTypeCheckBindsAcrossPorts(t *testing.T) {
	ids, err := graph.ParseType("tensor INT64 [batch,seq]")
	if err != nil {
		t.Fatal(err)
	}
	b := graph.Bindings{}
	if err := ids.Check(abi.KindTensor, abi.INT64, []int64{2, 7}, b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(graph.Bindings{"batch": 2, "seq": 7}, b); d != "" {
		t.Error(d)
	}
	if err := ids.Check(abi.KindTensor, abi.INT64, []int64{2, 8}, b); err == nil {
		t.Error("got no error for another seq")
	}
}
