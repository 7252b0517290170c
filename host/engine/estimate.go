package engine

import (
	"math"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// extent is what is known about the size of a value before it exists.
type extent struct {
	bytes int64
	shape []int64     // of a tensor, nil when unknown
	items int         // of a list, -1 when unknown or no list
	v     value.Value // an input of the request
}

// leastUnknown is what an output of unknown size is taken for at least.
const leastUnknown = 4 << 10

// estimate returns how many bytes the request is expected to hold at its peak: of its critical path, or of its shadow. Sizes
// follow from the types, whose names have the sizes of the inputs that came; where they do not, the outputs of a node are
// together taken to be as large as the largest that it reads: most nodes make less of what they get, and what grew from node
// to node would refuse long graphs for nothing.
func (r *run) estimate(shadow bool) int64 {
	in := make([]extent, len(r.inputs))
	for i := range r.inputs {
		in[i] = extentOf(r.inputs[i])
	}
	return peak(r.rel, in, r.eng.cfg.Images, func(id int) bool {
		n := &r.nodes[id]
		return n.needed && n.shadow == shadow
	})
}

func extentOf(v value.Value) extent {
	x := extent{bytes: v.Size(), items: -1, v: v}
	if v.Kind == abi.KindTensor {
		x.shape = v.Shape
	}
	if v.Kind == abi.KindList {
		x.items = len(v.Items)
	}
	return x
}

// decoding returns what decoding the images in v takes, 0 for what is none.
func decoding(v value.Value, lim imaging.Limits) (n int64) {
	if v.Kind == abi.KindImage {
		if h, err := imaging.Info(v.Data, lim); err == nil {
			n = h.PeakBytes
		}
	}
	for i := range v.Items {
		n = plus(n, decoding(v.Items[i], lim))
	}
	return n
}

// peak estimates one run of a release over inputs of given sizes. Nodes of equal depth are taken to run at once.
func peak(rel *Release, in []extent, lim imaging.Limits, runs func(id int) bool) int64 {
	p := &peaker{rel: rel, in: in, images: lim, names: map[string]int64{}, nodes: make([][]extent, len(rel.Plan.Nodes)), depth: make([]int, len(rel.Plan.Nodes))}
	total := int64(0)
	for i := range in {
		p.bind(rel.Plan.Inputs[i].Type, in[i].shape)
		total = plus(total, in[i].bytes)
	}
	last := make([]int, len(rel.Plan.Nodes)) // depth of the last reader
	deepest := 0
	for id := range rel.Plan.Nodes {
		n := &rel.Plan.Nodes[id]
		for _, d := range n.DependsOn {
			p.depth[id] = max(p.depth[id], p.depth[d]+1)
		}
		for _, d := range n.DependsOn {
			last[d] = max(last[d], p.depth[id])
		}
		deepest = max(deepest, p.depth[id])
	}
	for _, o := range rel.Plan.Outputs {
		eachNode(o.From, func(id int) { last[id] = deepest })
	}
	grows, shrinks, brief := make([]int64, deepest+2), make([]int64, deepest+2), make([]int64, deepest+1)
	for id := range rel.Plan.Nodes {
		passing := p.node(id)
		if !runs(id) {
			continue
		}
		for _, x := range p.nodes[id] {
			grows[p.depth[id]] = plus(grows[p.depth[id]], x.bytes)
			shrinks[max(last[id], p.depth[id])+1] = plus(shrinks[max(last[id], p.depth[id])+1], x.bytes)
		}
		brief[p.depth[id]] = plus(brief[p.depth[id]], passing)
	}
	held, most := total, total
	for d := range brief {
		held = plus(held, grows[d])
		if held < math.MaxInt64 {
			held -= shrinks[d]
		}
		most = max(most, plus(held, brief[d]))
	}
	return most
}

// peaker is one estimate.
type peaker struct {
	rel    *Release
	in     []extent
	images imaging.Limits
	names  map[string]int64
	nodes  [][]extent // by node and output
	depth  []int      // by node
}

// bind gives the names of a type the sizes of a shape.
func (p *peaker) bind(t graph.Type, shape []int64) {
	if t.List > 0 || len(shape) != len(t.Shape) {
		return
	}
	for i, d := range t.Shape {
		if d.Name != "" {
			p.names[d.Name] = shape[i]
		}
	}
}

// node estimates a node's outputs and returns what it holds only while it runs: a copy of what it reads.
func (p *peaker) node(id int) (passing int64) {
	n := &p.rel.Plan.Nodes[id]
	reads := make([]extent, len(n.Inputs))
	items, largest := -1, int64(leastUnknown)
	for i := range n.Inputs {
		reads[i] = p.source(n.Inputs[i].From)
		if n.Inputs[i].Convert == graph.ConvertDecode {
			reads[i].bytes = max(decoding(reads[i].v, p.images), reads[i].bytes)
		}
		passing, largest = plus(passing, reads[i].bytes), max(largest, reads[i].bytes)
		if n.Inputs[i].Levels == 1 {
			items = reads[i].items
		}
	}
	p.nodes[id] = make([]extent, len(n.Outputs))
	unknown := 0
	for k := range n.Outputs {
		p.nodes[id][k] = p.output(&n.Outputs[k], n.Levels, items)
		if p.nodes[id][k].bytes < 0 {
			unknown++
		}
	}
	for k := range p.nodes[id] {
		if x := &p.nodes[id][k]; x.bytes < 0 {
			x.bytes = largest / int64(unknown)
		}
	}
	if g, ok := p.rel.Targets[id].(*graphTarget); ok && n.Levels == 0 {
		passing = max(passing, peak(g.rel, g.inner(n, reads), p.images, func(id int) bool { return !g.rel.Plan.Nodes[id].Shadow }))
	}
	return passing
}

// output estimates one output; its bytes are -1 when they are not known.
func (p *peaker) output(out *graph.NodeOutput, levels, items int) extent {
	x := extent{bytes: -1, items: -1}
	edge := out.Edge
	if levels == 1 && edge.List == 1 && items >= 0 {
		x.items = items
	}
	if edge.Kind != abi.KindTensor || edge.Shape == nil || edge.DType.Size() == 0 {
		return x
	}
	shape, n := make([]int64, len(edge.Shape)), int64(edge.DType.Size())
	for i, d := range edge.Shape {
		size, known := d.Size, !d.Any && d.Name == ""
		if d.Name != "" {
			size, known = p.size(d.Name)
		}
		if !known {
			return x
		}
		shape[i], n = size, times(n, size)
	}
	switch {
	case edge.List == 0:
		x.bytes, x.shape = n, shape
	case x.items >= 0:
		x.bytes = times(n, int64(x.items))
	}
	return x
}

func (p *peaker) size(name string) (int64, bool) {
	n, ok := p.names[name]
	return n, ok
}

func (p *peaker) source(s graph.Source) extent {
	switch s.Kind {
	case graph.SourceInput:
		return p.in[s.Index]
	case graph.SourceNode:
		return p.nodes[s.Index][s.Output]
	case graph.SourceFirst:
		out := extent{items: -1}
		for _, alt := range s.First {
			if x := p.source(alt); x.bytes >= out.bytes {
				out = x
			}
		}
		return out
	case graph.SourceConst, graph.SourceNone:
	}
	return extent{items: -1}
}

// inner gives what a node reads to the inputs of the graph that it runs.
func (g *graphTarget) inner(n *graph.PlanNode, reads []extent) []extent {
	in := make([]extent, len(g.rel.Plan.Inputs))
	for i := range in {
		in[i].items = -1
		for k := range n.Inputs {
			if n.Inputs[k].Port == g.rel.Plan.Inputs[i].Name {
				in[i] = reads[k]
			}
		}
	}
	return in
}

// plus and times stop at the largest number instead of running over; their arguments are not negative.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(a, b int64) int64 {
	if a > 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}
