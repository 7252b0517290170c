// Package graphtest draws graph definitions for property tests. It starts nothing and locks nothing.
package graphtest

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Same compares definitions by what they say.
func Same() cmp.Options {
	return cmp.Options{
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreUnexported(graph.Graph{}, graph.Input{}, graph.Output{}, graph.Node{}, graph.Binding{}, graph.Expr{}),
		cmpopts.IgnoreTypes(graph.Pos{}),
	}
}

// names draws names, among them some that YAML reads as something else than text.
var names = rapid.OneOf(
	rapid.StringMatching(`[A-Za-z][A-Za-z0-9_]{0,12}`),
	rapid.SampledFrom([]string{"yes", "no", "on", "off", "null", "true", "False", "y", "n", "nan", "inf", "e1"}),
)

// texts draws free text, control characters and YAML's own signs included.
var texts = rapid.OneOf(
	rapid.String(),
	rapid.SampledFrom([]string{
		"", " ", "a: b", "- x", "# no", "\t", "a\nb\n", "'", `"`, "{", "[", "&a", "*a", "!t", "%", "@", "`", "|", ">", "0x10", "1e3",
		".5", "~", "2020-01-01", "12:30", "a  b", "trailing ", "\u2028", "\ufeff", "\u0085", "ü😀", "\\", "=", "<<",
	}),
)

// documents draws JSON values.
func documents(depth int) *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Just(any(nil)), rapid.Bool().AsAny(), texts.AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(),
		rapid.Float64().AsAny(),
	)
	if depth == 0 {
		return scalar
	}
	return rapid.OneOf(scalar, rapid.SliceOfN(documents(depth-1), 0, 4).AsAny(),
		rapid.MapOfN(texts, documents(depth-1), 0, 4).AsAny())
}

func raw(t *rapid.T, label string, g *rapid.Generator[any]) json.RawMessage {
	b, err := json.Marshal(g.Draw(t, label))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer // the canonical form: no escapes for HTML
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(strings.TrimSuffix(out.String(), "\n"))
}

// DrawType draws a type.
func DrawType(t *rapid.T) graph.Type {
	typ := graph.Type{
		Kind: rapid.SampledFrom([]abi.Kind{abi.KindTensor, abi.KindText, abi.KindJSON, abi.KindImage, abi.KindBytes}).Draw(t, "kind"),
		List: rapid.IntRange(0, graph.MaxListDepth).Draw(t, "list"),
	}
	if typ.Kind != abi.KindTensor {
		return typ
	}
	typ.DType = rapid.SampledFrom([]abi.DType{abi.DTypeNone, abi.FP32, abi.INT64, abi.BYTES, abi.BF16, abi.BOOL}).Draw(t, "dtype")
	if rapid.Bool().Draw(t, "shaped") {
		typ.Shape = []abi.Dim{}
		for range rapid.IntRange(0, abi.MaxRank).Draw(t, "rank") {
			typ.Shape = append(typ.Shape, rapid.OneOf(
				rapid.Just(abi.Dim{Any: true}),
				rapid.Map(rapid.Int64Range(0, 1<<40), func(n int64) abi.Dim { return abi.Dim{Size: n} }),
				rapid.Map(names, func(s string) abi.Dim { return abi.Dim{Name: s} }),
			).Draw(t, "dim"))
		}
	}
	return typ
}

func drawBinding(t *rapid.T, port string) graph.Binding {
	b := graph.Binding{Port: port}
	switch rapid.IntRange(0, 2).Draw(t, "source") {
	case 0:
		b.From = names.Draw(t, "from") + ".x"
	case 1:
		b.Value = raw(t, "value", documents(2))
	default:
		b.First = rapid.SliceOfN(names, 1, 3).Draw(t, "first")
	}
	return b
}

func drawNode(t *rapid.T, name string) graph.Node {
	n := graph.Node{
		Name: name, Doc: texts.Draw(t, "doc"), Call: rapid.SampledFrom([]string{"", "run"}).Draw(t, "call"),
		Each:        rapid.SliceOfN(names, 0, 3).Draw(t, "each"),
		OnError:     rapid.SampledFrom([]string{"", graph.OnErrorFail, graph.OnErrorSkip}).Draw(t, "on_error"),
		MaxParallel: rapid.IntRange(0, 64).Draw(t, "max_parallel"),
		Timeout:     time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "timeout")),
		Priority:    rapid.IntRange(graph.MinPriority, graph.MaxPriority).Draw(t, "priority"),
		When:        rapid.SampledFrom([]string{"", `a.b == "c" && d > 0.5`}).Draw(t, "when"),
		Shadow:      rapid.Bool().Draw(t, "shadow"), Keep: rapid.Bool().Draw(t, "keep"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		n.Model = "sentiment@sha256:00"
	case 1:
		n.Plugin, n.MayCall = "ocr", rapid.SliceOfN(names, 1, 2).Draw(t, "may_call")
	case 2:
		n.Graph = "other"
	default:
		n.Split = &graph.Split{Sticky: rapid.SampledFrom([]string{"", "user"}).Draw(t, "sticky")}
		for _, b := range rapid.SliceOfNDistinct(names, 1, 3, rapid.ID).Draw(t, "branches") {
			n.Split.Branches = append(n.Split.Branches, graph.Branch{Node: b, Weight: rapid.IntRange(0, 100).Draw(t, "weight")})
		}
	}
	for _, port := range rapid.SliceOfNDistinct(texts, 0, 4, rapid.ID).Draw(t, "ports") {
		n.In = append(n.In, drawBinding(t, port))
	}
	if rapid.Bool().Draw(t, "with") {
		n.With = raw(t, "config", rapid.MapOfN(texts, documents(2), 0, 4).AsAny())
	}
	if rapid.Bool().Draw(t, "cached") {
		n.Cache = &graph.Cache{
			TTL: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "ttl")), MaxBytes: rapid.Int64Range(0, 1<<40).Draw(t, "bytes"),
		}
	}
	return n
}

// Draw draws definitions that say all there is to say, whether it makes sense or not.
func Draw(t *rapid.T) *graph.Graph {
	g := &graph.Graph{Name: rapid.StringMatching(`[a-z0-9][a-z0-9_.-]{0,20}`).Draw(t, "graph"), Doc: texts.Draw(t, "doc")}
	for _, name := range rapid.SliceOfNDistinct(names, 0, 4, rapid.ID).Draw(t, "inputs") {
		in := graph.Input{Name: name, Type: DrawType(t), Doc: texts.Draw(t, "doc"), Optional: rapid.Bool().Draw(t, "optional")}
		if rapid.Bool().Draw(t, "default") {
			in.Default = raw(t, "default", documents(2))
		}
		g.Inputs = append(g.Inputs, in)
	}
	for _, name := range rapid.SliceOfNDistinct(names, 0, 4, rapid.ID).Draw(t, "outputs") {
		o := graph.Output{Name: name, Doc: texts.Draw(t, "doc"), From: names.Draw(t, "from")}
		if rapid.Bool().Draw(t, "first") {
			o.From, o.First = "", rapid.SliceOfN(names, 1, 3).Draw(t, "alternatives")
		}
		g.Outputs = append(g.Outputs, o)
	}
	for _, name := range rapid.SliceOfNDistinct(names, 0, 4, rapid.ID).Draw(t, "nodes") {
		g.Nodes = append(g.Nodes, drawNode(t, name))
	}
	return g
}
