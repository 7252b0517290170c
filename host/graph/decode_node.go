package graph

import (
	"encoding/json"
	"slices"
	"strconv"
)

// nodeKeys are the keys of a node, in the order in which they are written.
func nodeKeys() []string {
	return []string{
		"doc", "model", "plugin", "graph", "split", "call", "each", "when", "in", "with", "on_error", "max_parallel",
		"timeout", "priority", "shadow", "cache", "may_call", "keep",
	}
}

func (d *decoder) nodes(t *tree, g *Graph) []Node {
	pairs, ok := d.named(t, "nodes", CodeDuplicateNode, MaxNodes)
	g.broken, g.noNodes = g.broken || !ok, !ok
	out := make([]Node, 0, len(pairs))
	for _, p := range pairs {
		d.node = p.key
		out = append(out, d.oneNode(p))
	}
	d.node = ""
	return out
}

func (d *decoder) oneNode(p pair) Node {
	n := Node{Name: p.key, Pos: p.pos, places: map[string]Pos{}}
	before := len(d.faults)
	keys, ok := d.entries(p.value, "a node", nodeKeys()...)
	n.stray = !ok
	for _, k := range keys {
		n.places[k.key] = k.value.pos
		d.nodeKey(&n, k)
	}
	n.broken = len(d.faults) > before
	return n
}

func (d *decoder) nodeKey(n *Node, k pair) {
	v := k.value
	switch k.key {
	case "doc":
		n.Doc = d.str(v, "doc")
	case "model":
		n.Model = d.str(v, "model")
	case "plugin":
		n.Plugin = d.str(v, "plugin")
	case "graph":
		n.Graph = d.str(v, "graph")
	case "call":
		n.Call = d.str(v, "call")
	case "in":
		n.In = d.bindings(v)
	case "with":
		n.With, n.withDoc = d.with(v), v
	case "each":
		n.Each = d.each(v)
	case "on_error":
		n.OnError = d.oneOf(v, "on_error", OnErrorFail, OnErrorSkip)
	case "max_parallel":
		n.MaxParallel = int(d.integer(v, "max_parallel", 1, 1<<16))
	case "timeout":
		n.Timeout = d.duration(v, "timeout")
	case "priority":
		n.Priority = int(d.integer(v, "priority", MinPriority, MaxPriority))
	default:
		d.routing(n, k)
	}
}

// routing reads the keys that decide whether and how a node runs at all.
func (d *decoder) routing(n *Node, k pair) {
	v := k.value
	switch k.key {
	case "when":
		n.When = d.expression(v, "when")
	case "split":
		n.Split = d.split(v)
	case "shadow":
		n.Shadow = d.boolean(v, "shadow")
	case "cache":
		n.Cache = d.cache(v)
	case "may_call":
		n.MayCall = d.models(n, v)
	case "keep":
		n.Keep = d.boolean(v, "keep")
	}
}

// models returns the references of may_call and notes where each stands.
func (d *decoder) models(n *Node, t *tree) []string {
	if t.kind != treeList || len(t.items) == 0 || len(t.items) > maxReferences {
		f := faultf(CodeBadValue, t.pos, "may_call must be a list of 1 to %d models", maxReferences)
		if t.kind != treeList {
			f = f.between("a list", t.kind.String()).fix("for instance [sentiment, \"ocr@2\"]")
		}
		d.add(f)
		return nil
	}
	out := make([]string, 0, len(t.items))
	for i, item := range t.items {
		n.places[mayCallItem(i)] = item.pos
		out = append(out, d.str(item, "a model"))
	}
	return out
}

// mayCallItem is the key of Node.places for one model of may_call.
func mayCallItem(i int) string { return "may_call." + strconv.Itoa(i) }

func (d *decoder) each(t *tree) []string {
	if t.kind == treeList {
		return d.references(t, "each")
	}
	return []string{d.reference(t)}
}

func (d *decoder) bindings(t *tree) []Binding {
	pairs, _ := d.named(t, "in", CodeInputTwice, MaxPorts)
	out := make([]Binding, 0, len(pairs))
	for _, p := range pairs {
		before := len(d.faults)
		b := d.binding(p)
		b.broken = len(d.faults) > before
		for _, f := range d.faults[before:] {
			f.Port = p.key
		}
		out = append(out, b)
	}
	return out
}

func (d *decoder) binding(p pair) Binding {
	b := Binding{Port: p.key, Pos: p.value.pos}
	if p.value.kind != treeMapping {
		b.From = d.reference(p.value)
		return b
	}
	keys, ok := d.entries(p.value, "an input of a node", "from", "value", "first")
	for _, k := range keys {
		b.Pos = k.value.pos
		switch k.key {
		case "from":
			b.From = d.reference(k.value)
		case "value":
			b.Value = d.raw(k.value)
		case "first":
			b.First = d.references(k.value, "first")
		}
	}
	if ok && len(keys) != 1 {
		d.add(faultf(CodeBadValue, p.value.pos, "an input of a node has one of the keys from, value and first"))
	}
	return b
}

// with returns the configuration as canonical JSON.
func (d *decoder) with(t *tree) json.RawMessage {
	if t.kind != treeMapping {
		d.add(faultf(CodeBadValue, t.pos, "with must be a mapping").between("a mapping", t.kind.String()))
		return nil
	}
	return d.raw(t)
}

// raw returns t as canonical JSON and reports repeated keys in it.
func (d *decoder) raw(t *tree) json.RawMessage {
	d.repeated(t)
	return t.appendJSON(nil)
}

func (d *decoder) repeated(t *tree) {
	seen := map[string]bool{}
	for _, p := range t.pairs {
		if seen[p.key] {
			d.add(faultf(CodeDuplicateKey, p.pos, "the key %s stands twice", quote(p.key)).fix("remove one of them"))
		}
		seen[p.key] = true
		d.repeated(p.value)
	}
	for _, item := range t.items {
		d.repeated(item)
	}
}

// maxExpressionBytes bounds the text of an expression.
const maxExpressionBytes = 1024

func (d *decoder) expression(t *tree, what string) string {
	s := d.str(t, what)
	if t.kind == treeString && (s == "" || len(s) > maxExpressionBytes) {
		d.add(faultf(CodeBadValue, t.pos, "%s must be an expression of 1 to %d bytes", what, maxExpressionBytes))
		return ""
	}
	return s
}

// maxWeight bounds the weight of one branch of a split.
const maxWeight = 1_000_000

func (d *decoder) split(t *tree) *Split {
	pairs, ok := d.named(t, "split", CodeDuplicateKey, maxReferences+1)
	if !ok {
		return nil
	}
	s := &Split{}
	for _, p := range pairs {
		if p.key == "sticky" {
			s.Sticky = d.expression(p.value, "sticky")
			continue
		}
		weight := int(d.integer(p.value, "a weight", 0, maxWeight))
		s.Branches = append(s.Branches, Branch{Node: p.key, Weight: weight, Pos: p.pos})
	}
	if len(s.Branches) == 0 {
		d.add(faultf(CodeBadValue, t.pos, "split must name nodes and their weights").fix("for instance {a: 90, b: 10}"))
	}
	return s
}

func (d *decoder) cache(t *tree) *Cache {
	if t.kind == treeBool {
		if d.boolean(t, "cache") {
			return &Cache{}
		}
		return nil
	}
	if t.kind != treeMapping {
		d.add(faultf(CodeBadValue, t.pos, "cache must be true, false or a mapping").between("true, false or a mapping", t.kind.String()).
			fix("for instance {ttl: 10m, max_bytes: 1000000}"))
		return nil
	}
	keys, ok := d.entries(t, "cache", "ttl", "max_bytes")
	if !ok {
		return nil
	}
	c := &Cache{}
	for _, k := range keys {
		switch k.key {
		case "ttl":
			c.TTL = d.duration(k.value, "ttl")
		case "max_bytes":
			c.MaxBytes = d.integer(k.value, "max_bytes", 1, 1<<40)
		}
	}
	return c
}

// place returns where a key of the node stands, or the node when it has no such key.
func (n *Node) place(key string) Pos {
	if pos, ok := n.places[key]; ok {
		return pos
	}
	return n.Pos
}

// has reports whether the text of the node has one of the keys, understood or not.
func (n *Node) has(keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool {
		_, ok := n.places[k]
		return ok
	})
}
