package graph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/tandem-serve/tandem/host/graph"
)

// editor compiles the schema for editors and checks that the file in docs is the same.
func editor(t *testing.T) *jsonschema.Schema {
	t.Helper()
	src, err := graph.EditorSchema()
	if err != nil {
		t.Fatal(err)
	}
	const published = "../../docs/graph.schema.json"
	if *update {
		if err := os.WriteFile(published, src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(old), string(src)); d != "" {
		t.Errorf("%s is not up to date; run go test ./host/graph -update\n%s", published, d)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("graph.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("graph.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eachDocument calls f with every document of the archives under dir.
func eachDocument(t *testing.T, dir string, f func(name string, src []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, doc := range readArchive(t, file).files {
			if !strings.HasSuffix(doc.name, ".want") {
				f(filepath.Base(file)+" "+doc.name, doc.data)
			}
		}
	}
}

func TestEditorSchemaTakesWhatCheckTakes(t *testing.T) {
	s := editor(t)
	eachDocument(t, "right", func(name string, src []byte) {
		read := yaml.Unmarshal
		if strings.HasSuffix(name, ".json") {
			read = json.Unmarshal // YAML has no surrogate pairs
		}
		var v any
		if err := read(src, &v); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", name, err, src)
		}
	})
}

func TestEditorSchemaRefusesWrongForms(t *testing.T) {
	s := editor(t)
	form := map[graph.Code]bool{
		graph.CodeUnknownKey: true, graph.CodeMissingKey: true, graph.CodeBadName: true, graph.CodeReservedName: true, graph.CodeNodeKind: true,
		graph.CodeBadType: true,
	}
	w := newWorld(t)
	eachDocument(t, "wrong", func(name string, src []byte) {
		_, err := graph.Check(src, w)
		faults, _ := errors.AsType[graph.Faults](err)
		var v any
		if yaml.Unmarshal(src, &v) != nil {
			return
		}
		for _, f := range faults {
			deep := strings.Contains(f.Message, "nested deeper") // a schema cannot count
			if form[f.Code] && !deep && s.Validate(v) == nil {
				t.Errorf("%s: the schema takes it, but: %v\n%s", name, f, src)
			}
		}
	})
}
