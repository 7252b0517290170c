package graph

import (
	"encoding/json"
	"strconv"
)

// tree returns the document that says what g says.
func (g *Graph) tree() *tree {
	t := &tree{kind: treeMapping}
	t.set("graph", text(g.Name))
	t.setText("doc", g.Doc)
	inputs, outputs, nodes := &tree{kind: treeMapping}, &tree{kind: treeMapping}, &tree{kind: treeMapping}
	for i := range g.Inputs {
		inputs.set(g.Inputs[i].Name, g.Inputs[i].tree())
	}
	for i := range g.Outputs {
		outputs.set(g.Outputs[i].Name, g.Outputs[i].tree())
	}
	for i := range g.Nodes {
		nodes.set(g.Nodes[i].Name, g.Nodes[i].tree())
	}
	if len(inputs.pairs) > 0 {
		t.set("inputs", inputs)
	}
	if len(outputs.pairs) > 0 {
		t.set("outputs", outputs)
	}
	if len(nodes.pairs) > 0 {
		t.set("nodes", nodes)
	}
	return t
}

func (in *Input) tree() *tree {
	if in.Doc == "" && !in.Optional && in.Default == nil {
		return text(in.Type.String())
	}
	t := &tree{kind: treeMapping}
	t.set("type", text(in.Type.String()))
	t.setText("doc", in.Doc)
	t.setBool("optional", in.Optional)
	t.setRaw("default", in.Default)
	return t
}

func (o *Output) tree() *tree {
	t := &tree{kind: treeMapping}
	if o.First != nil {
		t.set("first", texts(o.First))
	} else {
		t.set("from", text(o.From))
	}
	t.setText("doc", o.Doc)
	return t
}

func (n *Node) tree() *tree {
	t := &tree{kind: treeMapping}
	t.setText("doc", n.Doc)
	t.setText("model", n.Model)
	t.setText("plugin", n.Plugin)
	t.setText("graph", n.Graph)
	if n.Split != nil {
		t.set("split", n.Split.tree())
	}
	t.setText("call", n.Call)
	switch len(n.Each) {
	case 0:
	case 1:
		t.set("each", text(n.Each[0]))
	default:
		t.set("each", texts(n.Each))
	}
	t.setText("when", n.When)
	if len(n.In) > 0 {
		in := &tree{kind: treeMapping}
		for i := range n.In {
			in.set(n.In[i].Port, n.In[i].tree())
		}
		t.set("in", in)
	}
	t.setRaw("with", n.With)
	t.setText("on_error", n.OnError)
	t.setInt("max_parallel", int64(n.MaxParallel))
	if n.Timeout != 0 {
		t.set("timeout", text(n.Timeout.String()))
	}
	t.setInt("priority", int64(n.Priority))
	t.setBool("shadow", n.Shadow)
	if n.Cache != nil {
		t.set("cache", n.Cache.tree())
	}
	if n.MayCall != nil {
		t.set("may_call", texts(n.MayCall))
	}
	t.setBool("keep", n.Keep)
	return t
}

func (b *Binding) tree() *tree {
	t := &tree{kind: treeMapping}
	switch {
	case b.Value != nil:
		t.setRaw("value", b.Value)
	case b.First != nil:
		t.set("first", texts(b.First))
	default:
		return text(b.From)
	}
	return t
}

func (s *Split) tree() *tree {
	t := &tree{kind: treeMapping}
	for _, b := range s.Branches {
		t.set(b.Node, &tree{kind: treeNumber, text: strconv.Itoa(b.Weight)})
	}
	t.setText("sticky", s.Sticky)
	return t
}

func (c *Cache) tree() *tree {
	if *c == (Cache{}) {
		return &tree{kind: treeBool, text: "true"}
	}
	t := &tree{kind: treeMapping}
	if c.TTL != 0 {
		t.set("ttl", text(c.TTL.String()))
	}
	t.setInt("max_bytes", c.MaxBytes)
	return t
}

func text(s string) *tree { return &tree{kind: treeString, text: s} }

func texts(list []string) *tree {
	t := &tree{kind: treeList}
	for _, s := range list {
		t.items = append(t.items, text(s))
	}
	return t
}

func (t *tree) set(key string, value *tree) { t.pairs = append(t.pairs, pair{key: key, value: value}) }

func (t *tree) setText(key, value string) {
	if value != "" {
		t.set(key, text(value))
	}
}

func (t *tree) setBool(key string, value bool) {
	if value {
		t.set(key, &tree{kind: treeBool, text: "true"})
	}
}

func (t *tree) setInt(key string, value int64) {
	if value != 0 {
		t.set(key, &tree{kind: treeNumber, text: strconv.FormatInt(value, 10)})
	}
}

func (t *tree) setRaw(key string, value json.RawMessage) {
	if value == nil {
		return
	}
	v, f := loadJSON(value)
	if f != nil {
		v = &tree{} // made in memory and no JSON; Compile reports it
	}
	t.set(key, v)
}
