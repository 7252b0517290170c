package graph_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/graph/graphtest"
)

func seed(f *testing.F) {
	f.Helper()
	for _, dir := range []string{"right", "wrong"} {
		files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			for _, doc := range readArchive(f, file).files {
				f.Add(doc.data)
			}
		}
	}
}

// checkFaults fails unless err is a list of usable faults.
func checkFaults(t *testing.T, src []byte, err error) {
	t.Helper()
	var faults graph.Faults
	if !errors.As(err, &faults) || len(faults) == 0 || len(faults) > graph.MaxFaults {
		t.Fatalf("got %T %v, want 1 to %d faults", err, err, graph.MaxFaults)
	}
	for _, f := range faults {
		if f.Code == "" || f.Message == "" || f.Line < 1 || f.Column < 1 {
			t.Fatalf("fault without code, message or place: %+v\n%q", *f, src)
		}
	}
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		g, err := graph.Parse(src)
		if err != nil {
			checkFaults(t, src, err)
			return
		}
		asYAML, err := g.YAML()
		if err != nil {
			t.Fatalf("%q: %v", src, err)
		}
		back, err := graph.Parse(asYAML)
		if err != nil {
			t.Fatalf("%q as YAML:\n%s\n%v", src, asYAML, err)
		}
		if d := cmp.Diff(g, back, graphtest.Same()); d != "" {
			t.Fatalf("%q as YAML:\n%s\n%s", src, asYAML, d)
		}
	})
}

func FuzzCompile(f *testing.F) {
	seed(f)
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := graph.Check(src, w)
		if errors.Is(err, errStore) {
			return
		}
		if err != nil {
			checkFaults(t, src, err)
			return
		}
		checkPlan(t, p)
		_, _, _ = graph.Text(p), graph.Mermaid(p), graph.SVG(p)
	})
}

// checkPlan fails unless the plan keeps the promises of its documentation.
func checkPlan(t *testing.T, p *graph.Plan) {
	t.Helper()
	for id := range p.Nodes {
		n := &p.Nodes[id]
		if n.ID != id {
			t.Fatalf("node %s: ID %d at %d", n.Name, n.ID, id)
		}
		levels := 0
		for _, in := range n.Inputs {
			checkSource(t, p, in.From, id)
			levels = max(levels, in.Levels)
			if in.From.Kind == graph.SourceNone && !in.Optional {
				t.Fatalf("node %s: nothing feeds %s", n.Name, in.Port)
			}
		}
		if levels != n.Levels {
			t.Fatalf("node %s: levels %d, its inputs have %d", n.Name, n.Levels, levels)
		}
		for _, d := range n.DependsOn {
			if d >= id {
				t.Fatalf("node %s stands before %s, which it needs", n.Name, p.Nodes[d].Name)
			}
		}
		for _, d := range n.Dependents {
			if d <= id {
				t.Fatalf("node %s stands after %s, which needs it", n.Name, p.Nodes[d].Name)
			}
		}
		for _, out := range n.Outputs {
			if out.Edge.List != out.Type.List+n.Levels {
				t.Fatalf("node %s: %s has the edge %s with %d levels", n.Name, out.Type, out.Edge, n.Levels)
			}
		}
	}
	for _, out := range p.Outputs {
		checkSource(t, p, out.From, len(p.Nodes))
	}
}

func checkSource(t *testing.T, p *graph.Plan, src graph.Source, before int) {
	t.Helper()
	switch src.Kind {
	case graph.SourceNone:
	case graph.SourceInput:
		if src.Index >= len(p.Inputs) {
			t.Fatalf("no input %d", src.Index)
		}
	case graph.SourceNode:
		if src.Index >= before || src.Output >= len(p.Nodes[src.Index].Outputs) {
			t.Fatalf("source %+v is not before %d", src, before)
		}
	case graph.SourceConst:
		if src.Const == nil {
			t.Fatal("a constant without a value")
		}
	case graph.SourceFirst:
		for _, alt := range src.First {
			checkSource(t, p, alt, before)
		}
	}
}
