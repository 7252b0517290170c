package graph

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// maxHeight bounds graphs in graphs.
const maxHeight = 16

// signature is what a node takes and gives.
type signature struct {
	kind    Kind
	ref     string
	inputs  []Port
	outputs []Port
	fn      *abi.Function // of a plugin
	state   bool          // of a plugin that keeps its memory between calls
	op      int
	height  int // of a graph
}

func (s *signature) input(name string) int  { return portIndex(s.inputs, name) }
func (s *signature) output(name string) int { return portIndex(s.outputs, name) }

func portIndex(ports []Port, name string) int {
	return slices.IndexFunc(ports, func(p Port) bool { return p.Name == name })
}

func portNames(ports []Port) []string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = p.Name
	}
	return out
}

// signatures finds out what each node runs. The error is one of the Env that is no fault of the definition.
func (c *compiler) signatures() error {
	r := &resolver{env: c.env, models: map[string]*ModelType{}, plugins: map[string]*abi.Description{}, graphs: map[string]*GraphType{}}
	c.sigs = make([]*signature, len(c.g.Nodes))
	for i := range c.g.Nodes {
		sig, err := c.signature(&c.g.Nodes[i], r)
		if err != nil {
			return err
		}
		if err := c.mayCall(&c.g.Nodes[i], r); err != nil {
			return err
		}
		c.sigs[i] = sig
		c.idleKeys(&c.g.Nodes[i], sig)
	}
	return nil
}

// idleKeys reports keys that would do nothing, or harm, for what the node turned out to run.
func (c *compiler) idleKeys(n *Node, sig *signature) {
	if sig == nil || sig.kind != KindPlugin {
		return
	}
	if n.Cache != nil && sig.state {
		c.add(faultf(CodeKeyNotAllowed, n.place("cache"), "the plugin %s keeps state between calls, so equal inputs need not have equal answers", quote(n.Plugin)).
			at(n.Name, "").fix("remove cache"))
	}
	if n.Priority != 0 && n.MayCall == nil && !n.has("may_call") && !n.stray {
		c.add(faultf(CodeKeyNotAllowed, n.place("priority"), "priority orders the queues of models, and this node runs none").
			at(n.Name, "").fix("add may_call if the plugin runs models itself, or remove priority"))
	}
}

// mayCall checks that the models exist that a plugin may run through host calls.
func (c *compiler) mayCall(n *Node, r *resolver) error {
	for i, ref := range n.MayCall {
		pos := n.place(mayCallItem(i))
		if ref != "" && slices.Contains(n.MayCall[:i], ref) {
			c.add(faultf(CodeBadValue, pos, "may_call names %s twice", quote(ref)).at(n.Name, "").fix("remove one of them"))
			continue
		}
		if (ref == "" && n.broken) || !c.objectRef(n, "model", ref, pos) {
			continue
		}
		if _, err := r.model(ref); err != nil {
			if err := c.missing(n, "model", ref, pos, CodeUnknownModel, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// signature returns nil when there is none to be had.
func (c *compiler) signature(n *Node, r *resolver) (*signature, error) {
	if !c.nodeKind(n) {
		return nil, nil //nolint:nilnil // nil means unknown; the fault is noted
	}
	switch {
	case n.Model != "":
		return c.modelSignature(n, r)
	case n.Plugin != "":
		return c.pluginSignature(n, r)
	case n.Graph != "":
		return c.graphSignature(n, r)
	default:
		return &signature{kind: KindSplit}, nil
	}
}

// nodeKind checks that the node says one thing to run, and has no keys that make no sense for it.
func (c *compiler) nodeKind(n *Node) bool {
	var kinds []string
	for _, k := range []struct {
		key string
		has bool
	}{{"model", n.Model != ""}, {"plugin", n.Plugin != ""}, {"graph", n.Graph != ""}, {"split", n.Split != nil}} {
		if k.has {
			kinds = append(kinds, k.key)
		}
	}
	if len(kinds) != 1 {
		if len(kinds) > 1 || !(n.stray || n.has("model", "plugin", "graph", "split")) {
			c.add(faultf(CodeNodeKind, n.Pos, "a node has one of the keys model, plugin, graph and split").
				between("one of them", foundKeys(kinds)).at(n.Name, ""))
		}
		return false
	}
	c.strayKeys(n, kinds[0])
	return true
}

func foundKeys(keys []string) string {
	if len(keys) == 0 {
		return "none"
	}
	return strings.Join(keys, " and ")
}

func (c *compiler) strayKeys(n *Node, kind string) {
	for _, k := range []struct {
		key  string
		has  bool
		okay []string
	}{
		{"call", n.Call != "", []string{"plugin"}},
		{"with", n.With != nil, []string{"plugin"}},
		{"may_call", n.MayCall != nil, []string{"plugin"}},
		{"priority", n.Priority != 0, []string{"model", "plugin", "graph"}},
		{"in", len(n.In) > 0, []string{"model", "plugin", "graph"}},
		{"each", n.Each != nil, []string{"model", "plugin", "graph"}},
		{"cache", n.Cache != nil, []string{"model", "plugin", "graph"}},
		{"timeout", n.Timeout != 0, []string{"model", "plugin", "graph"}},
		{"keep", n.Keep, []string{"model", "plugin", "graph"}},
		{"shadow", n.Shadow, []string{"model", "plugin", "graph"}},
	} {
		if k.has && !slices.Contains(k.okay, kind) {
			c.add(faultf(CodeKeyNotAllowed, n.place(k.key), "a %s node has no key %s", kind, quote(k.key)).at(n.Name, ""))
		}
	}
	for _, k := range []struct {
		key string
		has bool
	}{{"on_error", n.OnError != ""}, {"max_parallel", n.MaxParallel != 0}} {
		if k.has && n.Each == nil && !n.stray && !n.has("each") {
			c.add(faultf(CodeKeyNotAllowed, n.place(k.key), "%s says something about the items of a mapped node, and this node has no each", k.key).
				at(n.Name, "").fix("add each, or remove %s", k.key))
		}
	}
}

var refSyntax = regexp.MustCompile(`^([a-z0-9][a-z0-9_.-]{0,62})(?:@(?:sha256:[0-9a-f]{64}|[A-Za-z0-9][A-Za-z0-9_.-]{0,62}))?$`)

// objectRef checks the syntax of a reference to a model, plugin or graph.
func (c *compiler) objectRef(n *Node, key, ref string, pos Pos) bool {
	if refSyntax.MatchString(ref) {
		return true
	}
	c.add(faultf(CodeBadReference, pos, "%s is no reference to a %s", quote(ref), key).at(n.Name, "").
		fix("write name, name@version, name@tag or name@sha256: and 64 hexadecimal digits"))
	return false
}

// missing turns an Env's error into a fault, or returns it when it is none of the definition's.
func (c *compiler) missing(n *Node, key, ref string, pos Pos, code Code, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("resolve %s %s: %w", key, ref, err)
	}
	names := c.existing(key)
	advice := c.didYouMean(bareName(ref), names)
	if slices.Contains(names, bareName(ref)) {
		advice = "the " + key + " exists, but not this version or tag"
	}
	if advice == "" && key != "graph" {
		advice = "push it first: tandem " + key + " push"
	}
	c.add(faultf(code, pos, "there is no %s %s", key, quote(ref)).at(n.Name, "").fix("%s", advice))
	return nil
}

// existing returns the names of all objects of one kind, as far as the Env tells.
func (c *compiler) existing(key string) []string {
	if names, ok := c.known[key]; ok {
		return names
	}
	if namer, ok := c.env.(Namer); ok {
		c.known[key] = namer.Names(key)
	}
	return c.known[key]
}

func bareName(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	return name
}

func (c *compiler) modelSignature(n *Node, r *resolver) (*signature, error) {
	pos := n.place("model")
	if !c.objectRef(n, "model", n.Model, pos) {
		return nil, nil //nolint:nilnil // nil means unknown; the fault is noted
	}
	m, err := r.model(n.Model)
	if err != nil {
		return nil, c.missing(n, "model", n.Model, pos, CodeUnknownModel, err)
	}
	in, out := ragged(m.Inputs, m.Outputs)
	return &signature{kind: KindModel, ref: n.Model, inputs: in, outputs: out}, nil
}

func (c *compiler) graphSignature(n *Node, r *resolver) (*signature, error) {
	pos := n.place("graph")
	if !c.objectRef(n, "graph", n.Graph, pos) {
		return nil, nil //nolint:nilnil // nil means unknown; the fault is noted
	}
	if n.Graph == c.g.Name {
		c.add(faultf(CodeRecursion, pos, "the graph %s contains itself", quote(n.Graph)).at(n.Name, "").
			fix("pin a release, such as %s, if the one before is meant", quote(n.Graph+"@1")))
		return nil, nil //nolint:nilnil // nil means unknown; the fault is noted
	}
	g, err := r.graph(n.Graph)
	if err != nil {
		return nil, c.missing(n, "graph", n.Graph, pos, CodeUnknownGraph, err)
	}
	if g.Height+1 > maxHeight {
		c.add(faultf(CodeRecursion, pos, "graphs are nested deeper than %d", maxHeight).at(n.Name, ""))
	}
	in, out := ragged(g.Inputs, g.Outputs)
	return &signature{kind: KindGraph, ref: n.Graph, inputs: in, outputs: out, height: g.Height + 1}, nil
}

func (c *compiler) pluginSignature(n *Node, r *resolver) (*signature, error) {
	pos := n.place("plugin")
	if !c.objectRef(n, "plugin", n.Plugin, pos) {
		return nil, nil //nolint:nilnil // nil means unknown; the fault is noted
	}
	d, err := r.plugin(n.Plugin)
	if err != nil {
		return nil, c.missing(n, "plugin", n.Plugin, pos, CodeUnknownPlugin, err)
	}
	op := c.function(n, d)
	if op < 0 {
		return nil, nil //nolint:nilnil // nil means unknown; the fault is noted
	}
	fn := &d.Functions[op]
	in, errIn := PluginPorts(fn.Inputs)
	out, errOut := PluginPorts(fn.Outputs)
	if err := errors.Join(errIn, errOut); err != nil {
		c.add(faultf(CodeBadSchema, pos, "the description of %s cannot be used: %s", quote(n.Plugin+"."+fn.Name), err).at(n.Name, ""))
		return nil, nil //nolint:nilnil // nil means unknown; the fault is noted
	}
	in, out = ragged(in, out)
	return &signature{kind: KindPlugin, ref: n.Plugin, inputs: in, outputs: out, fn: fn, op: op, state: d.Stateful}, nil
}

// function returns the index of the function that the node calls, -1 when there is none.
func (c *compiler) function(n *Node, d *abi.Description) int {
	names := make([]string, len(d.Functions))
	for i, f := range d.Functions {
		names[i] = f.Name
	}
	if n.Call == "" {
		if len(names) == 1 {
			return 0
		}
		if !n.stray && !n.has("call") {
			c.add(faultf(CodeMissingCall, n.place("plugin"), "the plugin %s has %d functions, and the node does not say which", quote(n.Plugin), len(names)).
				at(n.Name, "").fix("add call: %s", strings.Join(names, " or ")))
		}
		return -1
	}
	op := slices.Index(names, n.Call)
	if op < 0 {
		c.add(faultf(CodeUnknownFunction, n.place("call"), "the plugin %s has no function %s", quote(n.Plugin), quote(n.Call)).
			at(n.Name, "").fix("%s", c.suggestOr(n.Call, names, "it has ")))
	}
	return op
}

// PluginPorts returns the types of ports that a plugin declares.
func PluginPorts(in []abi.Port) ([]Port, error) {
	out := make([]Port, len(in))
	for i, p := range in {
		kind, ok := abi.ParseKind(p.Kind)
		if !ok || kind == abi.KindList {
			return nil, fmt.Errorf("port %s has the kind %s", quote(p.Name), quote(p.Kind))
		}
		t := Type{Kind: kind}
		if kind == abi.KindTensor {
			if t.DType, ok = abi.ParseDType(p.DType); !ok && p.DType != "" {
				return nil, fmt.Errorf("port %s has the element type %s", quote(p.Name), quote(p.DType))
			}
			t.Shape = p.Shape
		}
		if p.List {
			t.List = 1
		}
		out[i] = Port{Name: p.Name, Type: t, Optional: p.Optional}
	}
	return out, nil
}

// ragged returns copies of ports in which names that stand only in list ports are "?": the items of a list may differ in
// such a dimension, so nothing follows from it.
func ragged(in, out []Port) (_, _ []Port) {
	shared := map[string]bool{}
	for _, ports := range [][]Port{in, out} {
		for _, p := range ports {
			for _, d := range p.Type.Shape {
				shared[d.Name] = shared[d.Name] || p.Type.List == 0
			}
		}
	}
	rewrite := func(ports []Port) []Port {
		ports = slices.Clone(ports)
		for i := range ports {
			t := &ports[i].Type
			if t.List == 0 {
				continue
			}
			t.Shape = slices.Clone(t.Shape)
			for j, d := range t.Shape {
				if d.Name != "" && !shared[d.Name] {
					t.Shape[j] = abi.Dim{Any: true}
				}
			}
		}
		return ports
	}
	return rewrite(in), rewrite(out)
}

// resolver asks the Env once for each reference.
type resolver struct {
	env     Env
	models  map[string]*ModelType
	plugins map[string]*abi.Description
	graphs  map[string]*GraphType
}

func (r *resolver) model(ref string) (*ModelType, error) { return once(ref, r.models, r.env.Model) }

func (r *resolver) plugin(ref string) (*abi.Description, error) {
	return once(ref, r.plugins, r.env.Plugin)
}

func (r *resolver) graph(ref string) (*GraphType, error) { return once(ref, r.graphs, r.env.Graph) }

// once asks for ref the first time only; what was not found is remembered as nil.
func once[T any](ref string, known map[string]*T, ask func(string) (*T, error)) (*T, error) {
	if v, ok := known[ref]; ok {
		if v == nil {
			return nil, ErrNotFound
		}
		return v, nil
	}
	v, err := ask(ref)
	if err == nil && v == nil {
		err = ErrNotFound
	}
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			known[ref] = nil
		}
		return nil, err
	}
	known[ref] = v
	return v, nil
}
