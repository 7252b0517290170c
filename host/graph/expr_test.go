package graph_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// whenOf compiles a graph whose node runs when the expression is true.
func whenOf(t *testing.T, expr string) *graph.Expr {
	t.Helper()
	src := fmt.Sprintf("graph: g\ninputs: {a: text, j: json, n: 'tensor FP32 [1]', i: 'tensor INT8 []', l: list of text}\n"+
		"outputs: {t: up.text, j: j, n: n, i: i, l: l, w: words.words}\nnodes:\n"+
		"  words: {plugin: text, call: split, in: {text: a}}\n"+
		"  up: {plugin: text, call: upper, in: {text: a}, when: %q}\n", expr)
	p, err := graph.Check([]byte(src), newWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Nodes {
		if n.Name == "up" {
			return n.When
		}
	}
	t.Fatal("no node up")
	return nil
}

func TestExprEval(t *testing.T) {
	values := map[string]any{
		"a": "hello", "j": map[string]any{"n": 2.0, "s": "x", "list": []any{1.0, 2.0}}, "n": 0.5, "i": int64(-3),
		"l": []any{"x", "y"}, "words.words": []any{"hello"},
	}
	for _, tc := range []struct {
		expr string
		want bool
		fail bool
	}{
		{"a == 'hello'", true, false},
		{"a.startsWith('h') && size(a) == 5", true, false},
		{"n > 0.4", true, false},
		{"n > 0", true, false},
		{"i < 0 && i == -3", true, false},
		{"j.n == 2", true, false},
		{"j.n > i", true, false},
		{"j.list.exists(x, x > 1)", true, false},
		{"j.list.all(x, x > 1)", false, false},
		{"has(j.missing)", false, false},
		{"has(j.n) && j.s == 'x'", true, false},
		{"'x' in l", true, false},
		{"words.words[0] == a", true, false},
		{"j.missing == 1", false, true},
		{"j.s", false, true},
		{"l[5] == 'x'", false, true},
	} {
		e := whenOf(t, tc.expr)
		in := make([]any, len(e.Inputs))
		for k, v := range e.Inputs {
			in[k] = values[v.Name]
		}
		got, err := e.True(in)
		if (err != nil) != tc.fail || got != tc.want {
			t.Errorf("%s: got %v, %v, want %v", tc.expr, got, err, tc.want)
		}
		if err != nil && !errors.Is(err, graph.ErrExpr) {
			t.Errorf("%s: got %v, want it to wrap ErrExpr", tc.expr, err)
		}
	}
}

func TestExprCostIsBounded(t *testing.T) {
	e := whenOf(t, "j.all(x, j.all(y, x == y || x != y))")
	list := make([]any, 5000)
	for i := range list {
		list[i] = float64(i)
	}
	if _, err := e.True([]any{list}); !errors.Is(err, graph.ErrExpr) {
		t.Errorf("got %v, want an end after the bound of steps", err)
	}
}

func TestExprValue(t *testing.T) {
	le := binary.LittleEndian
	for _, tc := range []struct {
		kind  abi.Kind
		dtype abi.DType
		data  []byte
		want  any
	}{
		{abi.KindText, 0, []byte("x"), "x"},
		{abi.KindJSON, 0, []byte(`{"a":[1,null]}`), map[string]any{"a": []any{1.0, nil}}},
		{abi.KindTensor, abi.BOOL, []byte{1}, true},
		{abi.KindTensor, abi.INT8, []byte{0xff}, int64(-1)},
		{abi.KindTensor, abi.INT16, []byte{0xfe, 0xff}, int64(-2)},
		{abi.KindTensor, abi.INT32, le.AppendUint32(nil, math.MaxUint32), int64(-1)},
		{abi.KindTensor, abi.INT64, le.AppendUint64(nil, math.MaxUint64), int64(-1)},
		{abi.KindTensor, abi.UINT8, []byte{0xff}, uint64(255)},
		{abi.KindTensor, abi.UINT64, le.AppendUint64(nil, math.MaxUint64), uint64(math.MaxUint64)},
		{abi.KindTensor, abi.FP32, le.AppendUint32(nil, math.Float32bits(0.25)), 0.25},
		{abi.KindTensor, abi.FP64, le.AppendUint64(nil, math.Float64bits(-1.5)), -1.5},
		{abi.KindTensor, abi.FP16, []byte{0x66, 0x2e}, 0.0999755859375},
		{abi.KindTensor, abi.FP16, []byte{1, 0x80}, -math.Ldexp(1, -24)},
		{abi.KindTensor, abi.FP16, []byte{0, 0x7c}, math.Inf(1)},
		{abi.KindTensor, abi.BF16, []byte{0x60, 0xc0}, -3.5},
	} {
		got, err := graph.ExprValue(tc.kind, tc.dtype, tc.data)
		if err != nil {
			t.Errorf("%s %s: %v", tc.kind, tc.dtype, err)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s %s: %s", tc.kind, tc.dtype, d)
		}
	}
	for _, bad := range []struct {
		kind  abi.Kind
		dtype abi.DType
		data  []byte
	}{
		{abi.KindImage, 0, nil},
		{abi.KindJSON, 0, []byte("{")},
		{abi.KindTensor, abi.FP32, make([]byte, 8)},
		{abi.KindTensor, abi.BYTES, make([]byte, 8)},
	} {
		if v, err := graph.ExprValue(bad.kind, bad.dtype, bad.data); !errors.Is(err, graph.ErrExpr) {
			t.Errorf("%s: got %v, %v, want an error", bad.kind, v, err)
		}
	}
}
