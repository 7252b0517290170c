package graph

import (
	"slices"
	"strconv"
	"time"
)

// parse reads src into a definition; see Parse.
func parse(src []byte) (*Graph, error) {
	t, f := load(src)
	if f != nil {
		return nil, Faults{f}
	}
	d := &decoder{}
	g := d.graph(t)
	if len(d.faults) > 0 {
		name := ""
		if g != nil {
			name = g.Name
		}
		return g, d.faults.finish(name)
	}
	return g, nil
}

// decoder turns a tree into a definition and collects what does not fit.
type decoder struct {
	faults Faults
	node   string // the node that is being read
}

func (d *decoder) add(f *Fault) {
	if f.Node == "" {
		f.Node = d.node
	}
	d.faults = append(d.faults, f)
}

// entries returns t's entries without repeated and unknown keys, which become faults; ok is false when t is no mapping.
func (d *decoder) entries(t *tree, what string, known ...string) (out []pair, ok bool) {
	if t.kind != treeMapping {
		d.add(faultf(CodeBadValue, t.pos, "%s must be a mapping", what).between("a mapping", t.kind.String()))
		return nil, false
	}
	ok = true
	seen := map[string]bool{}
	for _, p := range t.pairs {
		switch {
		case seen[p.key]:
			d.add(faultf(CodeDuplicateKey, p.pos, "%s has the key %s twice", what, quote(p.key)).fix("remove one of them"))
			ok = false
		case !slices.Contains(known, p.key):
			d.add(faultf(CodeUnknownKey, p.pos, "%s has no key %s", what, quote(p.key)).fix("%s", suggestOr(p.key, known, "the keys are ")))
			ok = false
		default:
			out = append(out, p)
		}
		seen[p.key] = true
	}
	return out, ok
}

// named returns the entries of a mapping from names to something; ok is false when t is no such mapping. Nothing at all
// counts as an empty one.
func (d *decoder) named(t *tree, what string, twice Code, most int) (out []pair, ok bool) {
	if t.kind == treeNull {
		return nil, true
	}
	if t.kind != treeMapping {
		d.add(faultf(CodeBadValue, t.pos, "%s must be a mapping of names", what).between("a mapping", t.kind.String()))
		return nil, false
	}
	if len(t.pairs) > most {
		d.add(faultf(CodeLimit, t.pos, "%s has %d entries, more than %d", what, len(t.pairs), most))
		return nil, false
	}
	seen := map[string]Pos{}
	for _, p := range t.pairs {
		if first, dup := seen[p.key]; dup {
			f := faultf(twice, p.pos, "%s has %s twice; the first stands in line %d", what, quote(p.key), first.Line)
			if twice == CodeDuplicateNode {
				f.Node = p.key
			} else {
				f.Port = p.key
			}
			d.add(f.fix("rename or remove one of them"))
			continue
		}
		seen[p.key] = p.pos
		out = append(out, p)
	}
	return out, true
}

func (d *decoder) graph(t *tree) *Graph {
	keys, ok := d.entries(t, "a graph", "graph", "doc", "inputs", "outputs", "nodes")
	if t.kind != treeMapping {
		return nil
	}
	g := &Graph{Pos: t.pos, broken: !ok}
	g.noInputs, g.noNodes = !ok && t.find("inputs") < 0, !ok && t.find("nodes") < 0
	if t.find("graph") < 0 {
		g.unnamed = true
		d.add(faultf(CodeMissingKey, t.pos, "the key \"graph\" with the graph's name is missing").fix("add \"graph: my-graph\""))
	}
	for _, p := range keys {
		switch p.key {
		case "graph":
			g.Name, g.Pos = d.str(p.value, "the graph's name"), p.value.pos
			g.unnamed = p.value.kind != treeString
		case "doc":
			g.Doc = d.str(p.value, "doc")
		case "inputs":
			g.Inputs = d.inputs(p.value, g)
		case "outputs":
			g.Outputs = d.outputs(p.value, g)
		case "nodes":
			g.Nodes = d.nodes(p.value, g)
		}
	}
	return g
}

func (d *decoder) inputs(t *tree, g *Graph) []Input {
	pairs, ok := d.named(t, "inputs", CodeDuplicateInput, MaxPorts)
	g.broken, g.noInputs = g.broken || !ok, !ok
	out := make([]Input, 0, len(pairs))
	for _, p := range pairs {
		out = append(out, d.input(p))
	}
	return out
}

func (d *decoder) input(p pair) Input {
	in := Input{Name: p.key, Pos: p.pos}
	before := len(d.faults)
	in.Type = d.inputType(p.value, &in)
	in.broken = len(d.faults) > before
	for _, f := range d.faults[before:] {
		f.Port = p.key
	}
	return in
}

func (d *decoder) outputs(t *tree, g *Graph) []Output {
	pairs, ok := d.named(t, "outputs", CodeDuplicateOutput, MaxPorts)
	g.broken = g.broken || !ok
	out := make([]Output, 0, len(pairs))
	for _, p := range pairs {
		out = append(out, d.output(p))
	}
	return out
}

func (d *decoder) output(p pair) Output {
	o := Output{Name: p.key, Pos: p.value.pos}
	if p.value.kind == treeString {
		o.From = p.value.text
		return o
	}
	before := len(d.faults)
	keys, _ := d.entries(p.value, "an output", "from", "first", "doc")
	for _, k := range keys {
		switch k.key {
		case "from":
			o.From, o.Pos = d.reference(k.value), k.value.pos
		case "first":
			o.First, o.Pos = d.references(k.value, "first"), k.value.pos
		case "doc":
			o.Doc = d.str(k.value, "doc")
		}
	}
	o.broken = len(d.faults) > before
	for _, f := range d.faults[before:] {
		f.Port = p.key
	}
	return o
}

// str returns the text of t.
func (d *decoder) str(t *tree, what string) string {
	if t.kind != treeString {
		d.add(faultf(CodeBadValue, t.pos, "%s must be text", what).between("text", t.kind.String()).fix("%s", quoteFix(t)))
		return ""
	}
	return t.text
}

// quoteFix advises on scalars that YAML reads as something else than text.
func quoteFix(t *tree) string {
	if t.kind == treeNumber || t.kind == treeBool {
		return "put it in quotes if it is meant as text"
	}
	return ""
}

func (d *decoder) boolean(t *tree, what string) bool {
	if t.kind != treeBool {
		d.add(faultf(CodeBadValue, t.pos, "%s must be true or false", what).between("true or false", t.kind.String()))
	}
	return t.kind == treeBool && t.text == "true"
}

func (d *decoder) integer(t *tree, what string, low, high int64) int64 {
	n, err := strconv.ParseInt(t.text, 10, 64)
	if t.kind != treeNumber || err != nil || n < low || n > high {
		found := t.kind.String()
		if t.kind == treeNumber {
			found = t.text
		}
		d.add(faultf(CodeBadValue, t.pos, "%s must be a whole number from %d to %d", what, low, high).
			between("a whole number", clip(found, 24)))
		return 0
	}
	return n
}

// maxDuration bounds every duration of a definition.
const maxDuration = 24 * time.Hour

func (d *decoder) duration(t *tree, what string) time.Duration {
	v, err := time.ParseDuration(t.text)
	if t.kind != treeString || err != nil || v <= 0 || v > maxDuration {
		found := t.kind.String()
		if t.text != "" {
			found = clip(t.text, 24)
		}
		d.add(faultf(CodeBadValue, t.pos, "%s must be a duration above 0 and at most 24h", what).
			between("a duration such as 250ms or 2s", found))
		return 0
	}
	return v
}

func (d *decoder) oneOf(t *tree, what string, words ...string) string {
	s := d.str(t, what)
	if t.kind == treeString && !slices.Contains(words, s) {
		d.add(faultf(CodeBadValue, t.pos, "%s cannot be %s", what, quote(s)).fix("%s", suggestOr(s, words, "it is one of ")))
		return ""
	}
	return s
}

// reference returns a reference as it stands; Compile reads it.
func (d *decoder) reference(t *tree) string {
	if t.kind == treeString {
		return t.text
	}
	f := faultf(CodeBadReference, t.pos, "a reference must be text such as node.port").between("node.port", t.kind.String())
	if t.kind != treeMapping {
		f.Fix = "write {value: ...} if a constant is meant"
	}
	d.add(f)
	return ""
}

// maxReferences bounds the lists in `each` and `first`.
const maxReferences = 64

func (d *decoder) references(t *tree, what string) []string {
	if t.kind != treeList {
		d.add(faultf(CodeBadValue, t.pos, "%s must be a list of references", what).between("a list", t.kind.String()))
		return nil
	}
	if len(t.items) == 0 || len(t.items) > maxReferences {
		d.add(faultf(CodeBadValue, t.pos, "%s must have 1 to %d references, not %d", what, maxReferences, len(t.items)))
		return nil
	}
	out := make([]string, 0, len(t.items))
	for _, item := range t.items {
		out = append(out, d.reference(item))
	}
	return out
}
