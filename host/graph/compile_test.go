package graph_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// compileFile compiles a document of testdata with the features that the engine runs.
func compileFile(t *testing.T, path string) *graph.Plan {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Check(src, newWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden compares got with a file of testdata.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

func TestDesignExample(t *testing.T) {
	p := compileFile(t, "testdata/ocr-sentiment.yaml")
	checkPlan(t, p)
	golden(t, "testdata/ocr-sentiment.txt", graph.Text(p))
	golden(t, "testdata/ocr-sentiment.mmd", graph.Mermaid(p))
}

func TestPlanOfDesignExample(t *testing.T) {
	p := compileFile(t, "testdata/ocr-sentiment.yaml")
	byName := map[string]*graph.PlanNode{}
	for i := range p.Nodes {
		byName[p.Nodes[i].Name] = &p.Nodes[i]
	}
	ids := func(names ...string) (out []int) {
		for _, n := range names {
			out = append(out, byName[n].ID)
		}
		slices.Sort(out)
		return out
	}
	cut := byName["cut"]
	if d := cmp.Diff(ids("prepare", "detect"), cut.DependsOn); d != "" {
		t.Errorf("cut depends on: %s", d)
	}
	if d := cmp.Diff(ids("recognise", "read"), cut.Dependents); d != "" {
		t.Errorf("cut's dependents: %s", d)
	}
	if cut.Function != "cut_lines" || cut.Op != 1 || cut.Kind != graph.KindPlugin || cut.Ref != "ocr" {
		t.Errorf("got %s %s op %d, want ocr cut_lines op 1", cut.Ref, cut.Function, cut.Op)
	}
	if got := cut.Inputs[0]; got.Convert != graph.ConvertDecode || got.From.Kind != graph.SourceInput || got.Levels != 0 {
		t.Errorf("got %+v, want the photo decoded", got)
	}
	rec := byName["recognise"]
	if rec.Levels != 1 || rec.Inputs[0].Levels != 1 || rec.OnError != graph.OnErrorFail {
		t.Errorf("got levels %d, input %d, on_error %q", rec.Levels, rec.Inputs[0].Levels, rec.OnError)
	}
	if got := rec.Outputs[0]; got.Type.List != 0 || got.Edge.List != 1 || !got.Used {
		t.Errorf("got %+v, want an item type and a list on the edge", got)
	}
	if got := byName["read"].Outputs[1]; got.Used {
		t.Errorf("%s is marked as used", got.Port)
	}
	if got, want := string(byName["prepare"].With), `{"max_side":960}`; got != want {
		t.Errorf("got with %s, want %s", got, want)
	}
}

func TestEnvTroubleIsNoFault(t *testing.T) {
	src := "graph: g\ninputs: {a: tensor}\noutputs: {t: m.y}\nnodes:\n  m: {model: broken-store, in: {x: a}}\n"
	_, err := graph.Check([]byte(src), newWorld(t))
	var faults graph.Faults
	if !errors.Is(err, errStore) || errors.As(err, &faults) {
		t.Errorf("got %v, want the environment's own error", err)
	}
}

func TestBounds(t *testing.T) {
	var many strings.Builder
	many.WriteString("graph: g\ninputs: {a: text}\noutputs: {t: n0.text}\nnodes:\n")
	for i := range graph.MaxNodes + 1 {
		fmt.Fprintf(&many, "  n%d: {plugin: text, call: upper, in: {text: a}, keep: true}\n", i)
	}
	var ports strings.Builder
	for i := range graph.MaxPorts + 1 {
		fmt.Fprintf(&ports, "p%d: text, ", i)
	}
	for name, tc := range map[string]struct {
		src  string
		code graph.Code
	}{
		"bytes":  {"graph: g\ndoc: " + strings.Repeat("x", graph.MaxDocumentBytes), graph.CodeTooLarge},
		"values": {"graph: g\ndoc: [" + strings.Repeat("a,", 250_000) + "a]", graph.CodeTooLarge},
		"nodes":  {many.String(), graph.CodeLimit},
		"inputs": {"graph: g\ninputs: {" + ports.String() + "a: text}\noutputs: {t: a}\n", graph.CodeLimit},
		"utf8":   {"graph: g\ninputs: {a: text}\noutputs: {a: \"\xff\"}\n", graph.CodeSyntax},
	} {
		_, err := graph.Check([]byte(tc.src), newWorld(t))
		var faults graph.Faults
		if !errors.As(err, &faults) || faults[0].Code != tc.code {
			t.Errorf("%s: got %.200v, want %s", name, err, tc.code)
		}
	}
}

func TestMostNodes(t *testing.T) {
	var b strings.Builder
	b.WriteString("graph: g\ninputs: {a: text}\noutputs: {t: n999.text}\nnodes:\n  n0: {plugin: text, call: upper, in: {text: a}}\n")
	for i := 1; i < graph.MaxNodes; i++ {
		fmt.Fprintf(&b, "  n%d: {plugin: text, call: pair, in: {a: n%d.text, b: n%d.text}}\n", i, i-1, i/2)
	}
	p, err := graph.Check([]byte(b.String()), newWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	checkPlan(t, p)
	if len(p.Nodes) != graph.MaxNodes {
		t.Errorf("got %d nodes, want %d", len(p.Nodes), graph.MaxNodes)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("graph: g\ninputs: {a: text}\noutputs: {t: a}\nnodes:\n")
	for i := range 900 {
		fmt.Fprintf(&b, "  n%d: {plugin: nothing%d, in: {text: a}, keep: true}\n", i, i)
	}
	_, err := graph.Check([]byte(b.String()), newWorld(t))
	var faults graph.Faults
	if !errors.As(err, &faults) || len(faults) != graph.MaxFaults {
		t.Fatalf("got %d faults, want %d", len(faults), graph.MaxFaults)
	}
	if got, want := faults[graph.MaxFaults-1].Message, "801 more faults are not shown"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGraphMadeInMemory(t *testing.T) {
	g := &graph.Graph{
		Name:    "g",
		Inputs:  []graph.Input{{Name: "a", Type: graph.Type{Kind: abi.KindText}}},
		Outputs: []graph.Output{{Name: "t", From: "tok.ids"}},
		Nodes: []graph.Node{{
			Name: "tok", Plugin: "text", Call: "tokenise", In: []graph.Binding{{Port: "text", From: "a"}}, With: []byte(`{"vocabulary":"v"}`),
		}},
	}
	p, err := graph.Compile(g, newWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	checkPlan(t, p)

	g.Nodes[0].With = []byte(`{"vocabulary":`)
	g.Outputs[0].From = "tok.idz"
	g.Outputs = append(g.Outputs, g.Outputs[0])
	g.Inputs = append(g.Inputs, g.Inputs[0])
	g.Nodes = append(g.Nodes, g.Nodes[0])
	_, err = graph.Compile(g, newWorld(t))
	var faults graph.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %v, want faults", err)
	}
	var codes []graph.Code
	for _, f := range faults {
		codes = append(codes, f.Code)
	}
	for _, want := range []graph.Code{
		graph.CodeDuplicateInput, graph.CodeDuplicateNode, graph.CodeDuplicateOutput, graph.CodeUnknownPort, graph.CodeSyntax,
	} {
		if !slices.Contains(codes, want) {
			t.Errorf("got %v, want %s among them", codes, want)
		}
	}
}

func TestCompileRefusesWhatParseRefused(t *testing.T) {
	g, err := graph.Parse([]byte("graph: g\ninputs: {a: text}\noutputs: {t: a}\ncolor: blue\n"))
	if err == nil || g == nil {
		t.Fatalf("got %v, %v, want a graph and faults", g, err)
	}
	if p, err := graph.Compile(g, newWorld(t)); err == nil {
		t.Errorf("got plan %v, want a fault", p)
	}
}

func TestGraphInGraph(t *testing.T) {
	w := newWorld(t)
	inner, err := graph.Check([]byte(`
graph: inner
inputs: {ids: "tensor INT64 [n, len]", go: "tensor BOOL []", note: {type: text, default: none}}
outputs: {logits: s.logits, note: note, maybe: up.text}
nodes:
  s: {model: sentiment, in: {ids: ids, mask: ids}}
  up: {plugin: text, call: upper, in: {text: note}, when: go}
`), w)
	if err != nil {
		t.Fatal(err)
	}
	w.graphs["inner"] = inner.Type()
	outer, err := graph.Check([]byte(`
graph: outer
inputs: {ids: "tensor INT64 [3, len]", go: "tensor BOOL []"}
outputs: {logits: in_.logits, maybe: in_.maybe, after: up.text, sure: {first: [up.text, in_.note]}}
nodes:
  in_: {graph: inner, in: {ids: ids, go: go}}
  up: {plugin: text, call: upper, in: {text: in_.maybe}}
`), w)
	if err != nil {
		t.Fatal(err)
	}
	if outer.Height != 1 {
		t.Errorf("got height %d, want 1", outer.Height)
	}
	got := map[string]string{}
	for _, out := range outer.Type().Outputs {
		got[out.Name] = fmt.Sprint(out.Type, " ", out.Optional)
	}
	want := map[string]string{
		"logits": "tensor FP32 [3,2] false", "maybe": "text true", "after": "text true", "sure": "text false",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
