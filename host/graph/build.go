package graph

import (
	"slices"
	"strconv"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// plan builds the plan of a graph without faults.
func (c *compiler) plan(s *state) *Plan {
	p := &Plan{Name: c.g.Name, Digest: c.g.Digest(), Inputs: make([]PlanInput, 0, len(c.g.Inputs))}
	names := c.nameDims(s)
	for i := range c.g.Inputs {
		in := &c.g.Inputs[i]
		p.Inputs = append(p.Inputs, PlanInput{
			Name: in.Name, Type: names.typeOf(&s.inputs[i]), Optional: in.Optional || in.Default != nil, Used: c.usedInput[i],
			Default: c.fallbacks[i],
		})
	}
	ids := make([]int, len(c.g.Nodes)) // definition -> plan
	for id, i := range c.order {
		ids[i] = id
	}
	for id, i := range c.order {
		p.Nodes = append(p.Nodes, c.planNode(names, id, i, ids))
		p.Height = max(p.Height, c.sigs[i].height)
	}
	for id := range p.Nodes {
		for _, d := range p.Nodes[id].DependsOn {
			p.Nodes[d].Dependents = append(p.Nodes[d].Dependents, id)
		}
	}
	for i, src := range c.outs {
		p.Outputs = append(p.Outputs, PlanOutput{
			Name: c.g.Outputs[i].Name, Type: names.typeOf(c.outEdges[i]), From: renumber(src, ids), Optional: len(c.routing.outs[i]) > 0,
		})
	}
	return p
}

func (c *compiler) planNode(names *dimNames, id, i int, ids []int) PlanNode {
	n, sig := &c.g.Nodes[i], c.sigs[i]
	out := PlanNode{
		ID: id, Name: n.Name, Kind: sig.kind, Ref: sig.ref, With: n.With, OnError: n.OnError, MaxParallel: n.MaxParallel,
		Timeout: n.Timeout, Priority: n.Priority, Shadow: c.routing.shadow[i], Keep: n.Keep, Cache: n.Cache, MayCall: n.MayCall, Pos: n.Pos,
		Inputs: make([]NodeInput, len(sig.inputs)), Outputs: make([]NodeOutput, len(sig.outputs)),
	}
	if sig.fn != nil {
		out.Function, out.Op = sig.fn.Name, sig.op
	}
	if out.OnError == "" {
		out.OnError = OnErrorFail
	}
	for k, p := range sig.inputs {
		out.Inputs[k] = NodeInput{Port: p.Name, Type: p.Type, Optional: p.Optional}
	}
	for k, l := range c.links[i] {
		in := &out.Inputs[l.port]
		in.From, in.Levels = renumber(l.source, ids), c.levels[i][k]
		if l.source.Kind != SourceConst {
			in.Convert, _ = conversion(l.edge.kind, in.Type)
		}
		out.Levels = max(out.Levels, in.Levels)
	}
	for k, p := range sig.outputs {
		out.Outputs[k] = NodeOutput{
			Port: p.Name, Type: p.Type, Edge: names.typeOf(&names.nodes[i][k]), Used: c.usedOutput[i][k],
		}
	}
	c.planRouting(&out, i, ids)
	for _, d := range c.deps[i] {
		out.DependsOn = append(out.DependsOn, ids[d])
	}
	slices.Sort(out.DependsOn)
	out.DependsOn = slices.Compact(out.DependsOn)
	return out
}

// planRouting adds what decides whether the node runs.
func (c *compiler) planRouting(out *PlanNode, i int, ids []int) {
	r := c.routing
	out.Conditional = len(r.conds[i]) > 0
	out.When = r.when[i].plan(ids)
	if s := r.split[i]; s >= 0 {
		out.Chosen = &PlanBranch{Node: ids[s], Branch: r.branch[i], Weight: c.g.Nodes[s].Split.Branches[r.branch[i]].Weight}
	}
	if split := c.g.Nodes[i].Split; split != nil {
		out.Split = &PlanSplit{Sticky: r.sticky[i].plan(ids)}
		for k, b := range split.Branches {
			out.Split.Branches = append(out.Split.Branches, PlanBranch{Node: ids[c.nodes[b.Node]], Branch: k, Weight: b.Weight})
		}
	}
}

// plan returns the expression with the plan's indexes; nil when there is none.
func (e *expression) plan(ids []int) *Expr {
	if e == nil {
		return nil
	}
	for k := range e.expr.Inputs {
		e.expr.Inputs[k].From = renumber(e.expr.Inputs[k].From, ids)
	}
	return e.expr
}

// renumber replaces indexes of the definition by those of the plan.
func renumber(src Source, ids []int) Source {
	if src.Kind == SourceNode {
		src.Index = ids[src.Index]
	}
	for i, alt := range src.First {
		src.First[i] = renumber(alt, ids)
	}
	return src
}

// dimNames gives each set of equal dimensions one name for the whole plan.
type dimNames struct {
	*state
	names map[int]string // by root
}

// nameDims names the sets after the dimensions of inputs, then of nodes' outputs, as declared, then of the ports that they
// feed; a number tells equal names apart. Dimensions that only lists have stay unnamed: their items may differ.
func (c *compiler) nameDims(s *state) *dimNames {
	d := &dimNames{state: s, names: map[int]string{}}
	taken := map[string]bool{}
	inherited := map[int]string{} // by root: what the ports call it
	for v, name := range s.name {
		if r := s.root(v); inherited[r] == "" {
			inherited[r] = name
		}
	}
	add := func(e *edge, ports bool) {
		if e.list > 0 {
			return
		}
		for _, v := range e.shape {
			r, name := s.root(v), s.name[v]
			if name == "" && ports {
				name = inherited[r]
			}
			if _, named := d.names[r]; named || name == "" || s.size[r] >= 0 {
				continue
			}
			unique := name
			for k := 2; taken[unique]; k++ {
				unique = name + "_" + strconv.Itoa(k)
			}
			taken[unique] = true
			d.names[r] = unique
		}
	}
	for _, ports := range []bool{false, true} {
		for i := range s.inputs {
			add(&s.inputs[i], ports)
		}
		for _, i := range c.order {
			for k := range s.nodes[i] {
				add(&s.nodes[i][k], ports)
			}
		}
	}
	return d
}

func (d *dimNames) typeOf(e *edge) Type {
	t := Type{Kind: e.kind, DType: e.dtype, List: e.list}
	if e.shape == nil {
		return t
	}
	t.Shape = make([]abi.Dim, len(e.shape))
	for i, v := range e.shape {
		r := d.root(v)
		switch name, ok := d.names[r]; {
		case d.size[r] >= 0:
			t.Shape[i] = abi.Dim{Size: d.size[r]}
		case ok:
			t.Shape[i] = abi.Dim{Name: name}
		default:
			t.Shape[i] = abi.Dim{Any: true}
		}
	}
	return t
}
