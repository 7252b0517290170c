package graph_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/graph/graphtest"
)

func TestFormsConvertWithoutLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphtest.Draw(t)
		asJSON, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := g.YAML()
		if err != nil {
			t.Fatal(err)
		}
		for form, src := range map[string][]byte{"JSON": asJSON, "YAML": asYAML} {
			back, err := graph.Parse(src)
			if err != nil {
				t.Fatalf("%s:\n%s\n%v", form, src, err)
			}
			if d := cmp.Diff(g, back, graphtest.Same()); d != "" {
				t.Fatalf("%s:\n%s\n%s", form, src, d)
			}
			if back.Digest() != g.Digest() {
				t.Fatalf("%s: the digest changed:\n%s", form, src)
			}
		}
	})
}

func TestCorpusConvertsWithoutLoss(t *testing.T) {
	files, err := filepath.Glob("testdata/right/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for _, file := range files {
		for _, f := range readArchive(t, file).files {
			if strings.HasSuffix(f.name, ".want") {
				continue
			}
			g, err := graph.Parse(f.data)
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			asYAML, err := g.YAML()
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			before, err := graph.Check(f.data, w)
			if err != nil {
				t.Fatal(err)
			}
			after, err := graph.Check(asYAML, w)
			if err != nil {
				t.Fatalf("%s as YAML:\n%s\n%v", f.name, asYAML, err)
			}
			if d := cmp.Diff(before, after, graphtest.Same()); d != "" {
				t.Errorf("%s: another plan after conversion to YAML\n%s", f.name, d)
			}
		}
	}
}

func TestDigestIgnoresForm(t *testing.T) {
	forms := []string{
		"graph: g\ninputs: {a: text, b: text}\noutputs: {x: a, y: b}\n",
		"# a comment\noutputs:\n  y: {from: b}\n  x: {from: a}\ngraph: \"g\"\ninputs: {b: {type: text}, a: text}\n",
		`{"inputs":{"a":"text","b":"text"},"graph":"g","outputs":{"x":{"from":"a"},"y":{"from":"b"}}}`,
	}
	var digests []string
	for _, src := range forms {
		g, err := graph.Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, g.Digest())
	}
	if digests[0] != digests[1] || digests[1] != digests[2] {
		t.Errorf("got %v, want three equal digests", digests)
	}
	other, err := graph.Parse([]byte(strings.Replace(forms[0], "x: a", "x: b", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if other.Digest() == digests[0] {
		t.Error("another graph has the same digest")
	}
	if want := "sha256:"; !strings.HasPrefix(digests[0], want) || len(digests[0]) != len(want)+64 {
		t.Errorf("got %s, want sha256: and 64 digits", digests[0])
	}
}

func TestTypeStringParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := graphtest.DrawType(t)
		back, err := graph.ParseType(typ.String())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(typ, back); d != "" {
			t.Fatalf("%s: %s", typ, d)
		}
	})
}

func TestUnmarshalJSON(t *testing.T) {
	var g graph.Graph
	if err := json.Unmarshal([]byte(`{"graph":"g","inputs":{"a":"text"},"outputs":{"a":{"from":"a"}}}`), &g); err != nil {
		t.Fatal(err)
	}
	if g.Name != "g" || len(g.Inputs) != 1 || g.Outputs[0].From != "a" {
		t.Errorf("got %+v", g)
	}
	err := json.Unmarshal([]byte(`{"graph":"g","color":"blue","inputs":[]}`), &g)
	want := "1:14: a graph has no key \"color\"; the keys are \"graph\", \"doc\", \"inputs\", \"outputs\", \"nodes\" [unknown-key]\n" +
		"1:38: inputs must be a mapping of names (expected a mapping, found a list) [bad-value]"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
