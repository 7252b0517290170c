package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/runners"
)

// errStore is what the environment answers for the model "broken-store".
var errStore = errors.New("the store does not answer")

// world is an environment of the tests: everything that the corpus refers to.
type world struct {
	models  map[string]*graph.ModelType
	plugins map[string]*abi.Description
	graphs  map[string]*graph.GraphType
}

func (w *world) Model(ref string) (*graph.ModelType, error) {
	if ref == "broken-store" {
		return nil, errStore
	}
	if m, ok := w.models[name(ref)]; ok && version(ref) {
		return m, nil
	}
	return nil, fmt.Errorf("model %s: %w", ref, graph.ErrNotFound)
}

func (w *world) Plugin(ref string) (*abi.Description, error) {
	if p, ok := w.plugins[name(ref)]; ok && version(ref) {
		return p, nil
	}
	return nil, graph.ErrNotFound
}

func (w *world) Graph(ref string) (*graph.GraphType, error) {
	if g, ok := w.graphs[name(ref)]; ok && version(ref) {
		return g, nil
	}
	return nil, graph.ErrNotFound
}

func (w *world) Names(kind string) []string {
	var out []string
	switch kind {
	case "model":
		for n := range w.models {
			out = append(out, n)
		}
	case "plugin":
		for n := range w.plugins {
			out = append(out, n)
		}
	case "graph":
		for n := range w.graphs {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func name(ref string) string {
	n, _, _ := strings.Cut(ref, "@")
	return n
}

// version reports whether the version or tag of a reference exists: 1, 2 and prod, and every digest.
func version(ref string) bool {
	_, v, ok := strings.Cut(ref, "@")
	return !ok || v == "1" || v == "2" || v == "prod" || strings.HasPrefix(v, "sha256:")
}

// newWorld returns the environment of the corpus.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{models: testModels(), plugins: map[string]*abi.Description{}, graphs: map[string]*graph.GraphType{}}
	for _, src := range testPlugins {
		d := &abi.Description{}
		if err := json.Unmarshal([]byte(src), d); err != nil {
			t.Fatalf("plugin of the tests: %v", err)
		}
		w.plugins[d.Name] = d
	}
	text := graph.Type{Kind: abi.KindText}
	score := graph.Type{Kind: abi.KindTensor, DType: abi.FP32, Shape: []abi.Dim{}}
	w.graphs["judge-text"] = &graph.GraphType{
		Inputs:  []graph.Port{{Name: "text", Type: text}, {Name: "language", Type: text, Optional: true}},
		Outputs: []graph.Port{{Name: "label", Type: text}, {Name: "score", Type: score}},
	}
	w.graphs["maybe"] = &graph.GraphType{
		Inputs: []graph.Port{{Name: "text", Type: text}}, Outputs: []graph.Port{{Name: "text", Type: text, Optional: true}},
	}
	w.graphs["very-deep"] = &graph.GraphType{Outputs: []graph.Port{{Name: "x", Type: text}}, Height: 16}
	return w
}

func testModels() map[string]*graph.ModelType {
	fixed := func(n int64) runners.Dim { return runners.Dim{Size: n} }
	sym := func(s string) runners.Dim { return runners.Dim{Size: -1, Name: s} }
	tensor := func(name string, d runners.DType, dims ...runners.Dim) runners.Port {
		return runners.Port{Name: name, DType: d, Dims: dims}
	}
	sigs := map[string]runners.Signature{
		"ppocr-det": {
			Inputs:  []runners.Port{tensor("x", runners.FP32, sym("n"), fixed(3), sym("h"), sym("w"))},
			Outputs: []runners.Port{tensor("out", runners.FP32, sym("n"), fixed(1), sym("h"), sym("w"))},
		},
		"ppocr-rec": {
			Inputs:  []runners.Port{tensor("x", runners.FP32, sym("n"), fixed(3), fixed(48), sym("w"))},
			Outputs: []runners.Port{tensor("out", runners.FP32, sym("n"), sym("t"), fixed(6625))},
		},
		"sentiment": {
			Inputs: []runners.Port{
				tensor("ids", runners.INT64, sym("batch"), sym("seq")), tensor("mask", runners.INT64, sym("batch"), sym("seq")),
			},
			Outputs: []runners.Port{tensor("logits", runners.FP32, sym("batch"), fixed(2))},
		},
		"resnet": {
			Inputs:  []runners.Port{tensor("input:0", runners.FP32, sym("batch"), fixed(3), fixed(224), fixed(224))},
			Outputs: []runners.Port{tensor("sigmoid_0.tmp_0", runners.FP32, sym("batch"), fixed(1000))},
		},
		"nameless": {
			Inputs:  []runners.Port{tensor("x", runners.FP32, sym(""), sym(""))},
			Outputs: []runners.Port{{Name: "y", DType: runners.FP32}, {Name: "table", DType: runners.BYTES, JSON: true}},
		},
		"adder": {
			Inputs:  []runners.Port{tensor("a", runners.FP32, sym("n")), tensor("b", runners.FP32, sym("n"))},
			Outputs: []runners.Port{tensor("sum", runners.FP32, sym("n"))},
		},
		"fixed8": {
			Inputs:  []runners.Port{tensor("x", runners.FP32, fixed(8))},
			Outputs: []runners.Port{tensor("y", runners.FP32, fixed(8))},
		},
		"fixed9": {
			Inputs:  []runners.Port{tensor("x", runners.FP32, fixed(9))},
			Outputs: []runners.Port{tensor("y", runners.FP32, fixed(9))},
		},
	}
	out := map[string]*graph.ModelType{}
	for n, sig := range sigs {
		out[n] = graph.ModelTypeOf(sig)
	}
	out["sentiment-b"] = out["sentiment"]
	return out
}

// testPlugins are the descriptions of the plugins that the corpus uses.
var testPlugins = []string{
	`{"name":"ocr","functions":[
	  {"name":"prepare_detect","inputs":[{"name":"image","kind":"tensor","dtype":"UINT8","shape":["h","w",3]}],
	   "outputs":[{"name":"x","kind":"tensor","dtype":"FP32","shape":[1,3,"rh","rw"]},{"name":"scale","kind":"json"}],
	   "with":{"type":"object","additionalProperties":false,"properties":{
	     "max_side":{"type":"integer","minimum":32,"maximum":8192},
	     "mean":{"type":"array","items":{"type":"number"},"minItems":3,"maxItems":3},
	     "mode":{"enum":["fit","fill"]},"pad":{"anyOf":[{"type":"integer"},{"type":"string","maxLength":3}]}}}},
	  {"name":"cut_lines","inputs":[{"name":"image","kind":"tensor","dtype":"UINT8","shape":["h","w",3]},
	    {"name":"heat","kind":"tensor","dtype":"FP32","shape":[1,1,"rh","rw"]},{"name":"scale","kind":"json"}],
	   "outputs":[{"name":"lines","kind":"tensor","dtype":"FP32","shape":[1,3,48,"lw"],"list":true},{"name":"boxes","kind":"json"}]},
	  {"name":"read_lines","inputs":[{"name":"logits","kind":"tensor","dtype":"FP32","shape":[1,"t",6625],"list":true},
	    {"name":"boxes","kind":"json"}],
	   "outputs":[{"name":"text","kind":"text"},{"name":"lines","kind":"text","list":true},{"name":"detail","kind":"json"}]},
	  {"name":"read_line","inputs":[{"name":"logits","kind":"tensor","dtype":"FP32","shape":[1,"t",6625]}],
	   "outputs":[{"name":"text","kind":"text"}]}]}`,
	`{"name":"text","functions":[
	  {"name":"tokenise","inputs":[{"name":"text","kind":"text"}],
	   "outputs":[{"name":"ids","kind":"tensor","dtype":"INT64","shape":[1,"len"]},{"name":"mask","kind":"tensor","dtype":"INT64","shape":[1,"len"]}],
	   "with":{"type":"object","required":["vocabulary"],"properties":{"vocabulary":{"type":"string"},"max_len":{"type":"integer","minimum":1}},"additionalProperties":false}},
	  {"name":"split","inputs":[{"name":"text","kind":"text"}],"outputs":[{"name":"words","kind":"text","list":true}]},
	  {"name":"join","inputs":[{"name":"words","kind":"text","list":true},{"name":"separator","kind":"text","optional":true}],
	   "outputs":[{"name":"text","kind":"text"}]},
	  {"name":"upper","inputs":[{"name":"text","kind":"text"}],"outputs":[{"name":"text","kind":"text"}]},
	  {"name":"pair","inputs":[{"name":"a","kind":"text"},{"name":"b","kind":"text"}],"outputs":[{"name":"text","kind":"text"}]}]}`,
	`{"name":"classify","functions":[
	  {"name":"top_label","inputs":[{"name":"logits","kind":"tensor","dtype":"FP32","shape":[1,"classes"]}],
	   "outputs":[{"name":"label","kind":"text"},{"name":"score","kind":"tensor","dtype":"FP32","shape":[]}]}]}`,
	`{"name":"compare","functions":[
	  {"name":"compare","inputs":[{"name":"a","kind":"tensor","dtype":"FP32","shape":["n","classes"]},{"name":"b","kind":"tensor","dtype":"FP32","shape":["n","classes"]}],
	   "outputs":[{"name":"result","kind":"json"}]}]}`,
	`{"name":"misc","functions":[
	  {"name":"any_tensor","inputs":[{"name":"x","kind":"tensor"}],"outputs":[{"name":"y","kind":"tensor"}]},
	  {"name":"to_bytes","inputs":[{"name":"data","kind":"bytes"}],"outputs":[{"name":"data","kind":"bytes"}]},
	  {"name":"square","inputs":[{"name":"x","kind":"tensor","dtype":"FP32","shape":["n","n"]}],"outputs":[{"name":"y","kind":"tensor","dtype":"FP32","shape":["n"]}]},
	  {"name":"scalar","inputs":[{"name":"x","kind":"tensor","dtype":"FP32","shape":[]}],"outputs":[{"name":"y","kind":"tensor","dtype":"FP32","shape":[]}]},
	  {"name":"image_of","inputs":[{"name":"image","kind":"image"}],"outputs":[{"name":"image","kind":"image"}]},
	  {"name":"crops","inputs":[{"name":"image","kind":"image"}],"outputs":[{"name":"crops","kind":"image","list":true}]},
	  {"name":"weigh","inputs":[{"name":"items","kind":"tensor","dtype":"FP32","shape":["d"],"list":true},{"name":"like","kind":"tensor","dtype":"FP32","shape":["d"]}],
	   "outputs":[{"name":"best","kind":"tensor","dtype":"FP32","shape":["d"]}]},
	  {"name":"log","inputs":[{"name":"doc","kind":"json"}],"outputs":[]},
	  {"name":"vector","inputs":[{"name":"text","kind":"text"}],"outputs":[{"name":"v8","kind":"tensor","dtype":"FP32","shape":[8]},{"name":"vn","kind":"tensor","dtype":"FP32","shape":["n"]},{"name":"any","kind":"tensor","dtype":"FP32","shape":["?"]}]}]}`,
	`{"name":"chooser","functions":[
	  {"name":"cascade","inputs":[{"name":"ids","kind":"tensor","dtype":"INT64","shape":[1,"n"]}],"outputs":[{"name":"label","kind":"text"}]}]}`,
	`{"name":"counter","stateful":true,"functions":[
	  {"name":"count","inputs":[{"name":"text","kind":"text"}],"outputs":[{"name":"text","kind":"text"}]}]}`,
	`{"name":"odd","functions":[{"name":"run","inputs":[{"name":"x","kind":"text"}],"outputs":[{"name":"y","kind":"text"}],"with":{"$ref":"http://elsewhere.test/schema"}}]}`,
	`{"name":"damaged","functions":[{"name":"run","inputs":[{"name":"x","kind":"thing"}],"outputs":[]}]}`,
}
