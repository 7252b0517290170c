package graph_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// drawShape draws a declared shape of a few sizes and names.
func drawShape(t *rapid.T) []abi.Dim {
	dims := rapid.SampledFrom([]abi.Dim{{Size: 1}, {Size: 2}, {Name: "n"}, {Name: "n"}, {Name: "m"}, {Any: true}})
	return rapid.SliceOfN(dims, 1, 2).Draw(t, "shape")
}

func drawPorts(t *rapid.T, prefix string, least, most int) []graph.Port {
	ports := make([]graph.Port, rapid.IntRange(least, most).Draw(t, prefix))
	for i := range ports {
		ports[i] = graph.Port{Name: fmt.Sprint(prefix, i), Type: graph.Type{Kind: abi.KindTensor, DType: abi.FP32, Shape: drawShape(t)}}
	}
	return ports
}

// model is one node of a drawn graph with what it runs.
type model struct {
	typ     *graph.ModelType
	sources []string
	needs   map[int]bool // conditions: the models with a `when` that must be true for this one to run
	when    bool
}

// drawModels draws a graph of models over tensors, in topological order; some of them conditional when asked for.
func drawModels(t *rapid.T, conditional bool) (inputs []graph.Port, models []model) {
	inputs = drawPorts(t, "i", 1, 2)
	refs := []string{}
	for _, in := range inputs {
		refs = append(refs, in.Name)
	}
	for k := range rapid.IntRange(1, 3).Draw(t, "models") {
		m := model{needs: map[int]bool{}, typ: &graph.ModelType{Inputs: drawPorts(t, "x", 1, 2), Outputs: drawPorts(t, "y", 1, 1)}}
		for range m.typ.Inputs {
			m.sources = append(m.sources, rapid.SampledFrom(refs).Draw(t, "source"))
		}
		if m.when = conditional && rapid.Bool().Draw(t, "when"); m.when {
			m.needs[k] = true
		}
		for _, src := range m.sources {
			for from := range models {
				if strings.HasPrefix(src, fmt.Sprintf("m%d.", from)) {
					maps.Copy(m.needs, models[from].needs)
				}
			}
		}
		for _, out := range m.typ.Outputs {
			refs = append(refs, fmt.Sprintf("m%d.%s", k, out.Name))
		}
		models = append(models, m)
	}
	return inputs, models
}

func document(inputs []graph.Port, models []model) string {
	var b strings.Builder
	b.WriteString("graph: g\ninputs:\n  flags: json\n")
	for _, in := range inputs {
		fmt.Fprintf(&b, "  %s: %s\n", in.Name, in.Type)
	}
	b.WriteString("outputs:\n  flags: flags\n")
	for _, in := range inputs {
		fmt.Fprintf(&b, "  %s: %s\n", in.Name, in.Name)
	}
	b.WriteString("nodes:\n")
	for k, m := range models {
		fmt.Fprintf(&b, "  m%d: {model: m%d, keep: true, in: {", k, k)
		for i, src := range m.sources {
			fmt.Fprintf(&b, "%s: %s, ", m.typ.Inputs[i].Name, src)
		}
		b.WriteString("}")
		if m.when {
			fmt.Fprintf(&b, ", when: flags.m%d", k)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// trial looks for sizes with which a drawn graph runs. Sizes are 1, 2 and 3: those that are declared, and another one.
type trial struct {
	inputs []graph.Port
	models []model
	true   map[int]bool // the conditions that hold
}

func (tr *trial) possible() bool {
	return tr.input(0, map[string][]int64{}, graph.Bindings{})
}

func (tr *trial) input(i int, values map[string][]int64, names graph.Bindings) bool {
	if i == len(tr.inputs) {
		return tr.node(0, values)
	}
	return choose(tr.inputs[i].Type.Shape, names, nil, func(shape []int64, names graph.Bindings) bool {
		values[tr.inputs[i].Name] = shape
		return tr.input(i+1, values, names)
	})
}

func (tr *trial) node(k int, values map[string][]int64) bool {
	if k == len(tr.models) {
		return true
	}
	m, names := tr.models[k], graph.Bindings{}
	for c := range m.needs {
		if !tr.true[c] {
			return tr.node(k+1, values) // skipped
		}
	}
	for i, src := range m.sources {
		if m.typ.Inputs[i].Type.Check(abi.KindTensor, abi.FP32, values[src], names) != nil {
			return false
		}
	}
	return tr.output(k, 0, values, names)
}

func (tr *trial) output(k, o int, values map[string][]int64, names graph.Bindings) bool {
	m := tr.models[k]
	if o == len(m.typ.Outputs) {
		return tr.node(k+1, values)
	}
	return choose(m.typ.Outputs[o].Type.Shape, names, nil, func(shape []int64, names graph.Bindings) bool {
		values[fmt.Sprintf("m%d.%s", k, m.typ.Outputs[o].Name)] = shape
		return tr.output(k, o+1, values, names)
	})
}

// choose tries every size for the dimensions that are free.
func choose(dims []abi.Dim, names graph.Bindings, sofar []int64, then func([]int64, graph.Bindings) bool) bool {
	if len(sofar) == len(dims) {
		return then(append([]int64{}, sofar...), names)
	}
	d := dims[len(sofar)]
	size, bound := names[d.Name]
	if !d.Any && d.Name == "" {
		size, bound = d.Size, true
	}
	if bound {
		return choose(dims, names, append(sofar, size), then)
	}
	for size := range int64(3) {
		more := maps.Clone(names)
		if d.Name != "" {
			more[d.Name] = size + 1
		}
		if choose(dims, more, append(sofar, size+1), then) {
			return true
		}
	}
	return false
}

// TestFaultsAreExact: a graph over tensors is refused if and only if no sizes exist with which it runs.
func TestFaultsAreExact(t *testing.T) { exact(t, false) }

// TestConditionalFaultsAreExact: a graph with conditions is refused if and only if there is a node with which it never runs
// when nothing is true that the node does not need.
func TestConditionalFaultsAreExact(t *testing.T) { exact(t, true) }

func exact(t *testing.T, conditional bool) {
	t.Helper()
	taken, refused := 0, 0
	check := func(t *rapid.T) {
		inputs, models := drawModels(t, conditional)
		w := &world{models: map[string]*graph.ModelType{}}
		for k, m := range models {
			w.models[fmt.Sprint("m", k)] = m.typ
		}
		src := document(inputs, models)
		p, err := graph.Check([]byte(src), w)
		possible := (&trial{inputs: inputs, models: models}).possible()
		for _, m := range models {
			possible = possible && (&trial{inputs, models, m.needs}).possible()
		}
		if possible != (err == nil) {
			t.Fatalf("%s\npossible: %v\n%v\n%+v", src, possible, err, models)
		}
		if err != nil {
			refused++
			return
		}
		taken++
		if !conditional {
			sizesFit(t, p)
		}
	}
	for round := 0; round < 20 && (taken == 0 || refused == 0); round++ { // in the short form one of them may not come up at once
		rapid.Check(t, check)
	}
	if taken == 0 || refused == 0 {
		t.Errorf("%d graphs were taken, %d refused: the test shows nothing", taken, refused)
	}
}

// sizesFit gives every name of the plan's edges a size of its own, and checks that all ports agree: the plan's names carry
// every equation.
func sizesFit(t *rapid.T, p *graph.Plan) {
	sizes := map[string]int64{}
	concrete := func(typ graph.Type) []int64 {
		out := make([]int64, len(typ.Shape))
		for i, d := range typ.Shape {
			switch {
			case d.Any:
				out[i] = 1000 + int64(len(sizes))
				sizes[fmt.Sprint("?", len(sizes))] = out[i]
			case d.Name != "":
				if sizes[d.Name] == 0 {
					sizes[d.Name] = 1000 + int64(len(sizes))
				}
				out[i] = sizes[d.Name]
			default:
				out[i] = d.Size
			}
		}
		return out
	}
	for _, n := range p.Nodes {
		names := graph.Bindings{}
		for _, in := range n.Inputs {
			var typ graph.Type
			if in.From.Kind == graph.SourceInput {
				typ = p.Inputs[in.From.Index].Type
			} else {
				typ = p.Nodes[in.From.Index].Outputs[in.From.Output].Edge
			}
			if err := in.Type.Check(abi.KindTensor, abi.FP32, concrete(typ), names); err != nil {
				t.Fatalf("node %s port %s: %v\n%s", n.Name, in.Port, err, graph.Text(p))
			}
		}
	}
}
