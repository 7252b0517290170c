package graph

import (
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// types gives every edge its type, node by node in topological order, and reports what does not fit.
func (c *compiler) types() *state {
	s := &state{solver: &solver{}, inputs: make([]edge, len(c.g.Inputs)), nodes: make([][]edge, len(c.g.Nodes))}
	c.inputTypes(s)
	c.levels = make([][]int, len(c.g.Nodes))
	for _, i := range c.order {
		c.nodeTypes(s, i)
	}
	c.outputTypes()
	c.fallbacks = c.defaults(s)
	return s
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
	levels, ok := c.mapLevels(s, i)
	for k := range c.links[i] {
		l := &c.links[i][k]
		port := &sig.inputs[l.port]
		f := &fitting{compiler: c, state: s, node: n, port: port, bind: l.bind}
		edges := []*edge{s.edge(l.source)}
		if l.source.Kind == SourceConst {
			edges = l.source.Const.edges(s, port.Type.List)
		}
		for _, f.edge = range edges {
			if f.edge.known && c.levels[i][k] >= 0 {
				f.check(s.instantiate(port.Type.Shape, scope, n.Name+"."+port.Name))
			}
		}
		f.presence(l)
	}
	s.nodes[i] = make([]edge, len(sig.outputs))
	for k, p := range sig.outputs {
		e := c.declared(s, p.Type, scope, n.Name+"."+p.Name)
		e.list += levels
		e.known = ok && e.kind != abi.KindNone
		s.nodes[i][k] = e
	}
}

// mapLevels finds over how many lists the node and each of its links are mapped; ok is false when that cannot be known.
func (c *compiler) mapLevels(s *state, i int) (most int, ok bool) {
	n, sig := &c.g.Nodes[i], c.sigs[i]
	c.levels[i] = make([]int, len(c.links[i]))
	ok = true
	deepest := map[string]int{} // by reference in each
	for k, l := range c.links[i] {
		e, port := s.edge(l.source), sig.inputs[l.port].Type
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
		e, port := s.edge(l.source), sig.inputs[l.port]
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
		f.fix("add each: %s to run the node once for every item", l.bind.From)
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

// outputTypes checks what the outputs of the graph refer to.
func (c *compiler) outputTypes() {
	for i, src := range c.outs {
		o := &c.g.Outputs[i]
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
