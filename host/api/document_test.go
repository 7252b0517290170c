package api

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/graph/graphtest"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// throughProto writes a graph as bytes of a message and reads it back.
func throughProto(g *graph.Graph) (*graph.Graph, error) {
	b, err := proto.Marshal(definitionTo(g))
	if err != nil {
		return nil, err
	}
	d := &tandemv1.GraphDocument{}
	if err := proto.Unmarshal(b, d); err != nil {
		return nil, err
	}
	return definitionFrom(d)
}

// TestDefinitionsConvertWithoutLoss: any definition goes through the message, YAML and JSON one after the other and says the
// same afterwards.
func TestDefinitionsConvertWithoutLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphtest.Draw(t)
		back, err := throughProto(g)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(g, back, graphtest.Same()); d != "" {
			t.Fatalf("through the message (-before +after):\n%s", d)
		}
		src, err := documentOf("", definitionTo(back))
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []tandemv1.GraphForm{tandemv1.GraphForm_GRAPH_FORM_JSON, tandemv1.GraphForm_GRAPH_FORM_YAML} {
			text, _, err := rewritten(form, src)
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			src = []byte(text)
		}
		_, d, err := rewritten(tandemv1.GraphForm_GRAPH_FORM_PROTO, src)
		if err != nil {
			t.Fatal(err)
		}
		last, err := definitionFrom(d)
		if err != nil {
			t.Fatal(err)
		}
		if last.Digest() != g.Digest() {
			t.Fatalf("the digest changed: %s", cmp.Diff(g, last, graphtest.Same()))
		}
	})
}

var archiveMark = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// TestCorpusConvertsWithoutLoss takes every right document of the language's corpus through all three forms.
func TestCorpusConvertsWithoutLoss(t *testing.T) {
	files, err := filepath.Glob("../graph/testdata/right/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		marks := archiveMark.FindAllSubmatchIndex(src, -1)
		for i, m := range marks {
			end := len(src)
			if i+1 < len(marks) {
				end = marks[i+1][0]
			}
			name := string(src[m[2]:m[3]])
			if strings.HasSuffix(name, ".want") {
				continue
			}
			count++
			g, err := graph.Parse(src[m[1]:end])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			back, err := throughProto(g)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if d := cmp.Diff(g, back, graphtest.Same()); d != "" || back.Digest() != g.Digest() {
				t.Errorf("%s (-before +after):\n%s", name, d)
			}
		}
	}
	if count < 100 {
		t.Errorf("%d documents, want 100 at least", count)
	}
}

func TestRewrittenKeepsComments(t *testing.T) {
	const src = "# why\ngraph: g\ninputs: {a: text}\noutputs: {a: a}\n"
	text, _, err := rewritten(tandemv1.GraphForm_GRAPH_FORM_YAML, []byte(src))
	if err != nil || text != src {
		t.Errorf("got %q, %v, want the document as it is", text, err)
	}
	text, _, err = rewritten(tandemv1.GraphForm_GRAPH_FORM_JSON, []byte(src))
	if err != nil || !json.Valid([]byte(text)) {
		t.Errorf("got %q, %v, want JSON", text, err)
	}
}

func TestDefinitionWithATypeThatIsNone(t *testing.T) {
	_, err := documentOf("", &tandemv1.GraphDocument{Graph: "g", Inputs: []*tandemv1.GraphInput{{Name: "a", Type: "picture"}}})
	faults, ok := err.(graph.Faults) //nolint:errorlint // the very type is promised
	if !ok || len(faults) != 1 || faults[0].Code != graph.CodeBadType || faults[0].Port != "a" {
		t.Errorf("got %v, want one fault %s of input a", err, graph.CodeBadType)
	}
}

// FuzzDefinition: no message makes the conversion panic, and what it says survives.
func FuzzDefinition(f *testing.F) {
	for _, d := range []*tandemv1.GraphDocument{
		{},
		{Graph: "g", Inputs: []*tandemv1.GraphInput{{Name: "a", Type: "tensor FP32 [n]", DefaultJson: new("[1]")}}},
		{Graph: "g", Nodes: []*tandemv1.GraphNode{{Name: "n", WithJson: new("{"), Cache: &tandemv1.GraphCache{}, Split: &tandemv1.GraphSplit{}}}},
	} {
		b, err := proto.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &tandemv1.GraphDocument{}
		if proto.Unmarshal(b, d) != nil {
			return
		}
		src, err := documentOf("", d)
		if err != nil {
			return
		}
		_, _ = graph.Parse(src)
	})
}
