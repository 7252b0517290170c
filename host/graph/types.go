package graph

import (
	"maps"
	"slices"
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// types gives every edge its type and reports what does not fit.
//
// What an unconditional node asks of a size holds for every run, so it narrows the source. What a conditional node asks
// holds only if that node runs: it is compared when everything else is known, and once more together with what the other
// nodes ask that run under the same conditions.
func (c *compiler) types() *state {
	s := &state{solver: &solver{}, inputs: make([]edge, len(c.g.Inputs)), nodes: make([][]edge, len(c.g.Nodes))}
	c.inputTypes(s)
	c.levels = make([][]int, len(c.g.Nodes))
	for _, i := range c.order {
		c.nodeTypes(s, i)
	}
	for _, f := range c.later {
		f.compare()
	}
	c.together(s)
	c.outputTypes(s)
	c.fallbacks = c.defaults(s)
	c.typeExprs(s)
	return s
}

// maxGroups bounds the sets of conditions that together looks at; what it leaves out is checked when it runs.
const maxGroups = 128

// together compares what nodes ask of sizes that run under the same conditions.
func (c *compiler) together(s *state) {
	groups := map[string]condition{}
	for _, f := range c.later {
		if cond := c.routing.conds[f.index]; len(cond) > 0 {
			groups[cond.key()] = cond
		}
	}
	keys := slices.Sorted(maps.Keys(groups))
	for _, key := range keys[:min(len(keys), maxGroups)] {
		cond := groups[key]
		trial := &state{solver: s.clone(), inputs: s.inputs, nodes: s.nodes}
		for _, f := range c.later {
			if f.single && len(c.routing.conds[f.index]) > 0 && c.routing.conds[f.index].within(cond) {
				f.unifyIn(trial)
			}
		}
	}
}

func (c *compiler) inputTypes(s *state) {
	ports := make([]Port, len(c.g.Inputs))
	for i, in := range c.g.Inputs {
		ports[i] = Port{Name: in.Name, Type: in.Type}
	}
	ports, _ = ragged(ports, nil)
	scope := map[string]int{}
	for i, p := range ports {
		if c.g.Inputs[i].broken || p.Type.Kind == abi.KindNone {
			continue
		}
		s.inputs[i] = c.declared(s, p.Type, scope, p.Name)
	}
}

// declared returns a new edge of a declared type.
func (c *compiler) declared(s *state, t Type, scope map[string]int, why string) edge {
	return edge{known: true, kind: t.Kind, list: t.List, dtype: t.DType, dtypeWhy: why, shape: s.instantiate(t.Shape, scope, why), shapeWhy: why}
}

// nodeTypes checks what feeds a node and types its outputs.
func (c *compiler) nodeTypes(s *state, i int) {
	n, sig := &c.g.Nodes[i], c.sigs[i]
	if sig == nil {
		return
	}
	scope := map[string]int{}
	for k := range c.links[i] {
		l := &c.links[i][k]
		l.edge = s.edge(l.source)
		if l.source.Kind == SourceFirst {
			l.edge = c.join(s, l.source.First, l.bind.Pos, n.Name, l.bind.Port)
		}
	}
	levels, ok := c.mapLevels(s, i)
	for k := range c.links[i] {
		if c.levels[i][k] >= 0 {
			c.linkTypes(s, i, &c.links[i][k], scope)
		}
	}
	s.nodes[i] = make([]edge, len(sig.outputs))
	for k, p := range sig.outputs {
		e := c.declared(s, p.Type, scope, n.Name+"."+p.Name)
		e.list += levels
		e.known = ok && e.kind != abi.KindNone
		s.nodes[i][k] = e
		if p.Optional && levels > 0 && c.usedOutput[i][k] {
			c.add(faultf(CodeOptionalMismatch, n.Pos, "the output %s may be absent, and a list has no place for what is absent", quote(p.Name)).
				at(n.Name, p.Name).fix("let %s always give it, for instance with first", what(sig)))
		}
	}
}

// linkTypes checks one link of a node, or notes it for later.
func (c *compiler) linkTypes(s *state, i int, l *link, scope map[string]int) {
	n, port := &c.g.Nodes[i], &c.sigs[i].inputs[l.port]
	why := n.Name + "." + port.Name
	check := func(e *edge, ref string) *fitting {
		return &fitting{compiler: c, state: s, index: i, node: n, port: port, bind: l.bind, edge: e, ref: ref}
	}
	check(l.edge, "").presence(l)
	switch {
	case l.source.Kind == SourceConst:
		for _, e := range l.source.Const.edges(s, port.Type.List) {
			f := check(e, l.bind.ref())
			f.shape = s.instantiate(port.Type.Shape, scope, why)
			f.check()
		}
	case !l.edge.known:
		s.instantiate(port.Type.Shape, scope, why)
	case l.source.Kind == SourceFirst:
		shape := s.alias(port.Type, l.edge, scope, why)
		for k, alt := range l.source.First {
			f := check(s.edge(alt), l.bind.First[k])
			f.shape = shape
			c.later = append(c.later, f)
		}
	case len(c.routing.conds[i]) > 0:
		f := check(l.edge, l.bind.ref())
		f.shape, f.single = s.alias(port.Type, l.edge, scope, why), true
		c.later = append(c.later, f)
	default:
		f := check(l.edge, l.bind.ref())
		f.shape = s.instantiate(port.Type.Shape, scope, why)
		f.check()
	}
}

// join returns what is known about the first of several sources: what they have in common.
func (c *compiler) join(s *state, alts []Source, pos Pos, node, port string) *edge {
	first := s.edge(alts[0])
	out := *first
	for _, alt := range alts[1:] {
		e := s.edge(alt)
		if !e.known || !out.known {
			return &edge{}
		}
		code := Code("")
		switch {
		case e.kind != out.kind:
			code = CodeKindMismatch
		case e.list != out.list:
			code = CodeListMismatch
		case e.dtype != out.dtype && e.dtype != abi.DTypeNone && out.dtype != abi.DTypeNone:
			code = CodeDTypeMismatch
		}
		if code != "" {
			c.add(faultf(code, pos, "the alternatives of first differ").at(node, port).
				between(s.typeOf(first).String(), s.typeOf(e).String()))
			return &edge{}
		}
		if e.dtype == abi.DTypeNone {
			out.dtype = abi.DTypeNone
		}
		out.shape = s.meet(out.shape, e.shape)
	}
	return &out
}

// mapLevels finds over how many lists the node and each of its links are mapped; ok is false when that cannot be known.
func (c *compiler) mapLevels(s *state, i int) (most int, ok bool) {
	n, sig := &c.g.Nodes[i], c.sigs[i]
	c.levels[i] = make([]int, len(c.links[i]))
	ok = true
	deepest := map[string]int{} // by reference in each
	for k, l := range c.links[i] {
		e, port := l.edge, sig.inputs[l.port].Type
		if !l.mapped {
			continue
		}
		if !e.known {
			ok = false
			continue
		}
		level := max(e.list-port.List, 0)
		c.levels[i][k] = level
		deepest[l.bind.From] = max(deepest[l.bind.From], level)
		most = max(most, level)
	}
	if c.eachLost[i] {
		for k := range c.levels[i] {
			c.levels[i][k] = -1
		}
		return 0, false
	}
	for k, l := range c.links[i] {
		e, port := l.edge, sig.inputs[l.port]
		if !e.known || (l.mapped && deepest[l.bind.From] > 0 && e.list >= port.Type.List) {
			continue
		}
		if l.mapped || e.list != port.Type.List {
			c.listFault(s, n, &c.links[i][k], e, port)
			c.levels[i][k] = -1
			ok = ok && !l.mapped && e.list <= port.Type.List
		}
	}
	return most, ok
}

func (c *compiler) listFault(s *state, n *Node, l *link, e *edge, port Port) {
	found := s.typeOf(e).String()
	if l.mapped {
		expected := "a list"
		if e.list > 0 {
			port.Type.List++
			expected = port.Type.String()
		}
		c.add(faultf(CodeEachNotList, l.bind.Pos, "each goes over %s, which is not a list of what the port takes", quote(l.bind.From)).
			at(n.Name, port.Name).between(expected, found).fix("remove %s from each", l.bind.From))
		return
	}
	f := faultf(CodeListMismatch, l.bind.Pos, "%s does not fit the port", l.bind.subject()).
		at(n.Name, port.Name).between(port.Type.String(), found)
	if e.list > port.Type.List && l.bind.From != "" {
		f.Fix = "add each: " + l.bind.From + " to run the node once for every item"
	}
	c.add(f)
}

// subject is ref as the subject of a sentence.
func (b *Binding) subject() string {
	if b.Value != nil {
		return "the constant"
	}
	return quote(b.ref())
}

// ref says where a binding comes from, for messages.
func (b *Binding) ref() string {
	switch {
	case b.Value != nil:
		return "the constant"
	case b.First != nil:
		return strings.Join(b.First, " or ")
	default:
		return b.From
	}
}

// outputTypes types the outputs of the graph and checks what they refer to.
func (c *compiler) outputTypes(s *state) {
	c.outEdges = make([]*edge, len(c.outs))
	for i, src := range c.outs {
		o := &c.g.Outputs[i]
		c.outEdges[i] = s.edge(src)
		if src.Kind == SourceFirst {
			c.outEdges[i] = c.join(s, src.First, o.Pos, "", o.Name)
		}
		if src.Kind == SourceInput && c.absent(src.Index) && !c.g.Inputs[src.Index].broken {
			c.add(faultf(CodeOptionalMismatch, o.Pos, "the output comes from the optional input %s, which may be absent", quote(o.From)).
				at("", o.Name).fix("give the input a default"))
		}
	}
}

// absent reports whether an input of the graph may have no value.
func (c *compiler) absent(input int) bool {
	in := &c.g.Inputs[input]
	return in.Optional && in.Default == nil
}
