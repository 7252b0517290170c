package graph

import (
	"slices"
	"strings"
)

// link feeds one input port of a node.
type link struct {
	port   int // index in the signature's inputs
	bind   *Binding
	source Source // SourceNone when unknown
	mapped bool   // the reference stands in `each`
	edge   *edge  // what is known about the source
}

// connect resolves every reference.
func (c *compiler) connect() {
	c.usedInput = make([]bool, len(c.g.Inputs))
	c.usedNode = make([]bool, len(c.g.Nodes))
	c.usedOutput = make([][]bool, len(c.g.Nodes))
	c.links = make([][]link, len(c.g.Nodes))
	c.deps = make([][]int, len(c.g.Nodes))
	c.eachLost = make([]bool, len(c.g.Nodes))
	for i, sig := range c.sigs {
		if sig != nil {
			c.usedOutput[i] = make([]bool, len(sig.outputs))
		}
	}
	for i := range c.g.Nodes {
		c.connectNode(i)
	}
	c.outs = make([]Source, len(c.g.Outputs))
	for i := range c.g.Outputs {
		c.connectOutput(i)
	}
	if len(c.g.Outputs) == 0 && !c.g.broken {
		c.add(faultf(CodeMissingOutput, c.g.Pos, "the graph has no outputs").fix("add outputs: {name: {from: node.port}}"))
	}
}

func (c *compiler) connectNode(i int) {
	n, sig := &c.g.Nodes[i], c.sigs[i]
	each := c.each(i)
	fed := map[string]bool{}
	for j := range n.In {
		b := &n.In[j]
		src := c.bindingSource(i, b)
		if fed[b.Port] {
			c.add(faultf(CodeInputTwice, b.Pos, "the port is fed twice").at(n.Name, b.Port))
			continue
		}
		fed[b.Port] = true
		mapped := false
		for k := range each {
			if b.From != "" && b.From == each[k].ref {
				mapped, each[k].used = true, true
			}
		}
		if port := c.port(n, sig, b); port >= 0 {
			if b.Value != nil && !b.broken {
				src = c.constant(n, b, &sig.inputs[port])
			}
			c.links[i] = append(c.links[i], link{port: port, bind: b, source: src, mapped: mapped})
		}
	}
	for _, e := range each {
		if !e.used && !n.broken {
			c.add(faultf(CodeEachUnused, n.place("each"), "each names %s, and no input of the node takes it", quote(e.ref)).
				at(n.Name, "").fix("feed an input from %s, or remove it from each", e.ref))
		}
	}
	c.missingInputs(n, sig, fed)
}

// eachRef is one reference of `each`.
type eachRef struct {
	ref  string
	used bool
}

// each returns the references of the node's each that mean something.
func (c *compiler) each(i int) []eachRef {
	n := &c.g.Nodes[i]
	c.eachLost[i] = n.broken && (n.has("each") || n.stray) && (len(n.Each) == 0 || slices.Contains(n.Each, ""))
	var out []eachRef
	seen := map[string]bool{}
	for _, ref := range n.Each {
		if ref == "" && n.broken {
			continue
		}
		if seen[ref] {
			c.add(faultf(CodeBadValue, n.place("each"), "each names %s twice", quote(ref)).at(n.Name, ""))
			continue
		}
		seen[ref] = true
		before := len(c.faults)
		known := false
		for _, b := range n.In {
			known = known || b.From == ref
		}
		if known {
			out = append(out, eachRef{ref: ref}) // the input's own fault is enough when it is unknown
			continue
		}
		c.reference(i, ref, n.place("each"), n.Name, "")
		if len(c.faults) == before {
			out = append(out, eachRef{ref: ref})
		} else {
			c.eachLost[i] = true
		}
	}
	return out
}

// port returns the index of the input port that b feeds, -1 when there is none.
func (c *compiler) port(n *Node, sig *signature, b *Binding) int {
	if sig == nil || sig.kind == KindSplit {
		return -1
	}
	at := sig.input(b.Port)
	if at < 0 {
		c.add(faultf(CodeUnknownPort, b.Pos, "%s has no input %s", what(sig), quote(b.Port)).at(n.Name, b.Port).
			fix("%s", c.suggestOr(b.Port, portNames(sig.inputs), "its inputs are ")))
	}
	return at
}

// missingInputs reports required ports that nothing feeds; not when a port was misspelled, which is the same mistake.
func (c *compiler) missingInputs(n *Node, sig *signature, fed map[string]bool) {
	if sig == nil {
		return
	}
	meant := map[string]bool{}
	names := portNames(sig.inputs)
	for port := range fed {
		if sig.input(port) < 0 {
			meant[c.suggest(port, names)] = true
		}
	}
	for _, p := range sig.inputs {
		if p.Optional || fed[p.Name] || meant[p.Name] {
			continue
		}
		if len(n.In) == 0 && (n.stray || (n.broken && n.has("in"))) {
			continue // the mapping itself was not understood
		}
		c.add(faultf(CodeMissingInput, n.Pos, "nothing feeds the input %s", quote(p.Name)).at(n.Name, p.Name).
			between(p.Type.String(), "nothing").fix("add in: {%s: ...}", p.Name))
	}
}

// what names what a signature belongs to.
func what(s *signature) string {
	switch s.kind {
	case KindPlugin:
		return "the function " + quote(bareName(s.ref)+"."+s.fn.Name)
	case KindGraph:
		return "the graph " + quote(s.ref)
	case KindSplit:
		return "a split"
	default:
		return "the model " + quote(s.ref)
	}
}

// bindingSource resolves what feeds an input port.
func (c *compiler) bindingSource(node int, b *Binding) Source {
	if b.broken {
		c.loose = true
		return Source{}
	}
	name := c.g.Nodes[node].Name
	switch {
	case b.Value != nil:
		return Source{} // read when the port is known
	case b.First != nil:
		return c.first(node, b.First, b.Pos, name, b.Port)
	default:
		return c.reference(node, b.From, b.Pos, name, b.Port)
	}
}

func (c *compiler) first(node int, refs []string, pos Pos, name, port string) Source {
	src := Source{Kind: SourceFirst}
	for _, ref := range refs {
		alt := c.reference(node, ref, pos, name, port)
		if alt.Kind == SourceNone {
			src.Kind = SourceNone
		}
		src.First = append(src.First, alt)
	}
	if src.Kind == SourceNone {
		return Source{}
	}
	return src
}

func (c *compiler) connectOutput(i int) {
	o := &c.g.Outputs[i]
	if o.broken {
		c.loose = true
		return
	}
	switch {
	case o.First != nil:
		c.outs[i] = c.first(-1, o.First, o.Pos, "", o.Name)
	case o.From == "":
		c.loose = true
		c.add(faultf(CodeMissingOutput, o.Pos, "the output does not say where it comes from").at("", o.Name).fix("add from: node.port"))
	default:
		c.outs[i] = c.reference(-1, o.From, o.Pos, "", o.Name)
	}
}

// reference resolves "node.port" or "input" and notes who uses what; SourceNone when it points nowhere. node is who asks,
// -1 for an output.
func (c *compiler) reference(node int, ref string, pos Pos, name, port string) Source {
	head, tail, dotted := strings.Cut(ref, ".")
	_, isInput := c.inputs[head]
	_, isNode := c.nodes[head]
	if (!localName.MatchString(head) && !isInput && !isNode) || (dotted && !portSyntax(tail)) {
		c.loose = true
		c.add(faultf(CodeBadReference, pos, "%s is no reference", quote(ref)).at(name, port).
			fix("write node.port for a node's output, or the name of an input"))
		return Source{}
	}
	if !dotted {
		return c.inputReference(head, pos, name, port)
	}
	at, ok := c.nodes[head]
	if !ok {
		c.unknownNode(head, tail, pos, name, port)
		return Source{}
	}
	c.usedNode[at] = true
	if node >= 0 {
		c.deps[node] = append(c.deps[node], at)
	}
	sig := c.sigs[at]
	if sig == nil {
		return Source{}
	}
	out := sig.output(tail)
	if out < 0 {
		c.add(faultf(CodeUnknownPort, pos, "%s has no output %s", what(sig), quote(tail)).at(name, port).
			fix("%s", c.suggestReference(tail, head, portNames(sig.outputs))))
		return Source{}
	}
	c.usedOutput[at][out] = true
	return Source{Kind: SourceNode, Index: at, Output: out}
}

// maxPortBytes bounds the names of ports; models choose them freely, dots and colons included.
const maxPortBytes = 256

func portSyntax(s string) bool {
	return s != "" && len(s) <= maxPortBytes && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func (c *compiler) suggestReference(port, node string, ports []string) string {
	full := make([]string, len(ports))
	for i, p := range ports {
		full[i] = node + "." + p
	}
	return c.suggestOr(node+"."+port, full, "its outputs are ")
}

func (c *compiler) inputReference(head string, pos Pos, name, port string) Source {
	if at, ok := c.inputs[head]; ok {
		c.usedInput[at] = true
		return Source{Kind: SourceInput, Index: at}
	}
	if at, ok := c.nodes[head]; ok {
		c.usedNode[at] = true
		f := faultf(CodeBadReference, pos, "%s is a node; a reference names one of its outputs", quote(head)).at(name, port)
		if sig := c.sigs[at]; sig != nil && len(sig.outputs) > 0 && len(sig.outputs) <= maxListed {
			f.Fix = "write " + strings.Join(prefixed(head+".", portNames(sig.outputs)), " or ")
		}
		c.add(f)
		return Source{}
	}
	if c.g.noInputs {
		return Source{}
	}
	advice, near := "", c.suggest(head, c.inputNames())
	if near != "" {
		c.usedInput[c.inputs[near]] = true
	} else if near = c.suggest(head, c.nodeNames()); near != "" {
		c.usedNode[c.nodes[near]] = true
	}
	if near == "" {
		c.loose = true
	} else {
		advice = "did you mean " + quote(near) + "?"
	}
	c.add(faultf(CodeUnknownInput, pos, "the graph has no input %s", quote(head)).at(name, port).fix("%s", advice))
	return Source{}
}

// unknownNode reports a node that is not there. The node that was probably meant counts as used.
func (c *compiler) unknownNode(head, tail string, pos Pos, name, port string) {
	if c.g.noNodes {
		return
	}
	f := faultf(CodeUnknownNode, pos, "there is no node %s", quote(head)).at(name, port)
	c.add(f)
	if near := c.suggest(head, c.nodeNames()); near != "" {
		c.usedNode[c.nodes[near]] = true
		f.Fix = "did you mean " + quote(near+"."+tail) + "?"
		return
	}
	c.loose = true
	if at, ok := c.inputs[head]; ok {
		c.usedInput[at] = true
		f.Fix = quote(head) + " is an input; inputs are referred to without a port"
		return
	}
	f.Fix = c.suggestOr(head, c.nodeNames(), "the nodes are ")
}

// nodeNames returns the names of all nodes.
func (c *compiler) nodeNames() []string {
	if c.nodeList == nil {
		for i := range c.g.Nodes {
			c.nodeList = append(c.nodeList, c.g.Nodes[i].Name)
		}
	}
	return c.nodeList
}

// inputNames returns the names of the graph's inputs.
func (c *compiler) inputNames() []string {
	if c.inputList == nil {
		for i := range c.g.Inputs {
			c.inputList = append(c.inputList, c.g.Inputs[i].Name)
		}
	}
	return c.inputList
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

// unused reports inputs and nodes that nothing takes, unless a reference points nowhere: it may be the missing use.
func (c *compiler) unused() {
	if c.loose || c.g.broken {
		return
	}
	if slices.ContainsFunc(c.g.Nodes, func(n Node) bool { return n.broken && len(n.In) == 0 }) {
		return // what such a node takes is not known
	}
	for i := range c.g.Inputs {
		if in := &c.g.Inputs[i]; !c.usedInput[i] && c.inputs[in.Name] == i && localName.MatchString(in.Name) {
			c.add(faultf(CodeUnusedInput, in.Pos, "nothing takes the input %s", quote(in.Name)).at("", in.Name).
				fix("use it or remove it"))
		}
	}
	for i := range c.g.Nodes {
		n := &c.g.Nodes[i]
		if c.usedNode[i] || c.routing.shadow[i] || n.Keep || n.Shadow || n.Split != nil || n.broken || c.nodes[n.Name] != i || !localName.MatchString(n.Name) {
			continue
		}
		c.add(faultf(CodeUnusedNode, n.Pos, "nothing takes an output of the node %s", quote(n.Name)).at(n.Name, "").
			fix("use it, remove it, or add keep: true if it runs for what it records"))
	}
}
