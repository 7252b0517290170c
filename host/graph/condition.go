package graph

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
)

// maxConditions bounds the conditions of a graph: `when`, branches of splits, and joins that may find nothing.
const maxConditions = 64

// maxExpressionsBytes bounds the expressions of a graph together: parsing one byte takes some 10 us and 4 KiB of garbage.
const maxExpressionsBytes = 16 << 10

// condition is what must hold for a node to run: a sorted list of literals, all of them. Empty means always.
type condition []int

// within reports whether c holds whenever other does.
func (c condition) within(other condition) bool {
	for _, l := range c {
		if _, ok := slices.BinarySearch(other, l); !ok {
			return false
		}
	}
	return true
}

func (c condition) and(other ...int) condition {
	out := slices.Concat(c, other)
	slices.Sort(out)
	return slices.Compact(out)
}

func (c condition) common(other condition) condition {
	return slices.DeleteFunc(slices.Clone(c), func(l int) bool {
		_, ok := slices.BinarySearch(other, l)
		return !ok
	})
}

// branches are the literals of one split, of the branches that can be chosen.
type branches []int

// routing is what the compiler knows about which nodes run when.
type routing struct {
	when   []*expression // by node
	sticky []*expression // by node
	split  []int         // by node: the split that chooses it, -1 when there is none
	branch []int         // by node: its place in that split
	conds  []condition   // by node
	outs   []condition   // by output of the graph
	shadow []bool        // by node: off the critical path

	budget   int // what is left of coverBudget
	literals int
	choices  map[int][]condition // by split: when each branch is chosen
	splits   []branches
	absent   map[int]int // by optional input: the literal of its being there
}

func newRouting(nodes int) *routing {
	r := &routing{
		budget: coverBudget,
		when:   make([]*expression, nodes), sticky: make([]*expression, nodes), split: make([]int, nodes), branch: make([]int, nodes),
		conds: make([]condition, nodes), shadow: make([]bool, nodes), choices: map[int][]condition{}, absent: map[int]int{},
	}
	for i := range r.split {
		r.split[i] = -1
	}
	return r
}

func (r *routing) literal() int {
	r.literals++
	return r.literals - 1
}

// route parses expressions and finds the branches of splits. It adds to deps.
func (c *compiler) route() {
	c.routing = newRouting(len(c.g.Nodes))
	expressions, size := 0, 0
	for i := range c.g.Nodes {
		n := &c.g.Nodes[i]
		if n.When != "" {
			expressions, size = expressions+1, size+len(n.When)
		}
		if n.Split != nil && n.Split.Sticky != "" {
			expressions, size = expressions+1, size+len(n.Split.Sticky)
		}
	}
	if size > maxExpressionsBytes {
		c.add(faultf(CodeLimit, c.g.Pos, "the graph's expressions have %d bytes, more than %d", size, maxExpressionsBytes))
		c.loose = true
		return
	}
	if expressions > maxConditions {
		c.add(faultf(CodeLimit, c.g.Pos, "the graph has %d expressions, more than %d", expressions, maxConditions))
		c.loose = true
		return
	}
	for i := range c.g.Nodes {
		n := &c.g.Nodes[i]
		if n.When != "" {
			c.routing.when[i] = c.parseExpr(i, n.When, n.place("when"))
		}
		if n.Split == nil {
			continue
		}
		if n.Split.Sticky != "" {
			c.routing.sticky[i] = c.parseExpr(i, n.Split.Sticky, n.place("split"))
		}
		c.splitBranches(i)
	}
}

func (c *compiler) splitBranches(i int) {
	n, total := &c.g.Nodes[i], 0
	for k, b := range n.Split.Branches {
		total += b.Weight
		pos := b.Pos
		if pos == (Pos{}) {
			pos = n.Pos
		}
		at, ok := c.nodes[b.Node]
		switch {
		case !ok:
			if !c.g.noNodes {
				c.loose = true
				c.add(faultf(CodeUnknownNode, pos, "there is no node %s", quote(b.Node)).at(n.Name, "").
					fix("%s", c.suggestOr(b.Node, c.nodeNames(), "the nodes are ")))
			}
		case c.routing.split[at] >= 0:
			c.add(faultf(CodeBadSplit, pos, "the node %s is a branch already, of %s", quote(b.Node), quote(c.g.Nodes[c.routing.split[at]].Name)).
				at(n.Name, ""))
		default:
			c.routing.split[at], c.routing.branch[at] = i, k
			c.deps[at] = append(c.deps[at], i)
		}
	}
	if total == 0 && len(n.Split.Branches) > 0 && !n.broken {
		c.add(faultf(CodeBadSplit, n.place("split"), "all weights are 0").at(n.Name, "").fix("give at least one branch a weight"))
	}
}

// conditions finds out when each node runs, in topological order.
func (c *compiler) conditions() {
	r := c.routing
	r.outs = make([]condition, len(c.outs))
	for _, i := range c.order {
		if r.literals > maxConditions {
			break
		}
		n, cond := &c.g.Nodes[i], condition{}
		for _, l := range c.links[i] {
			cond = cond.and(c.sourceCondition(l.source)...)
		}
		for _, e := range []*expression{r.when[i], r.sticky[i]} {
			if e != nil {
				for _, in := range e.refs {
					cond = cond.and(c.sourceCondition(in.From)...)
				}
			}
		}
		if s := r.split[i]; s >= 0 {
			cond = cond.and(r.conds[s]...).and(r.choice(c, s)[r.branch[i]]...)
		}
		if n.When != "" || n.Shadow {
			cond = cond.and(r.literal())
		}
		r.conds[i] = cond
	}
	for i, src := range c.outs {
		if r.literals <= maxConditions {
			r.outs[i] = c.sourceCondition(src)
		}
	}
	if r.literals > maxConditions {
		c.add(faultf(CodeLimit, c.g.Pos, "the graph has more than %d conditions", maxConditions))
	}
}

// choice returns when each branch of a split is chosen; always, when the others have no weight.
func (r *routing) choice(c *compiler, split int) []condition {
	if conds, ok := r.choices[split]; ok {
		return conds
	}
	var possible branches
	var conds []condition
	for _, b := range c.g.Nodes[split].Split.Branches {
		l := r.literal()
		conds = append(conds, condition{l})
		if b.Weight > 0 {
			possible = append(possible, l)
		}
	}
	if len(possible) == 1 {
		for k := range conds {
			if conds[k][0] == possible[0] {
				conds[k] = nil
			}
		}
	} else {
		r.splits = append(r.splits, possible)
	}
	r.choices[split] = conds
	return conds
}

// sourceCondition returns when a source has a value.
func (c *compiler) sourceCondition(src Source) condition {
	r := c.routing
	switch src.Kind {
	case SourceNode:
		cond := r.conds[src.Index]
		if sig := c.sigs[src.Index]; sig != nil && sig.outputs[src.Output].Optional {
			return cond.and(r.optional(-1-src.Index*MaxPorts-src.Output, r.literal))
		}
		return cond
	case SourceFirst:
		return c.firstCondition(src.First)
	default:
		return nil
	}
}

// optional returns the one literal for something that may be absent.
func (r *routing) optional(key int, fresh func() int) int {
	l, ok := r.absent[key]
	if !ok {
		l = fresh()
		r.absent[key] = l
	}
	return l
}

// firstCondition returns when at least one of several sources has a value: always, if one always has, or if they cover all
// branches of a split.
func (c *compiler) firstCondition(alts []Source) condition {
	r := c.routing
	conds := make([]condition, len(alts))
	for i, alt := range alts {
		conds[i] = c.sourceCondition(alt)
		if alt.Kind == SourceInput && c.absent(alt.Index) {
			conds[i] = condition{r.optional(alt.Index, r.literal)}
		}
	}
	conds = c.covered(conds)
	for _, cond := range conds {
		if !slices.ContainsFunc(conds, func(other condition) bool { return !cond.within(other) }) {
			return cond
		}
	}
	shared := conds[0]
	for _, cond := range conds {
		shared = shared.common(cond)
	}
	return shared.and(r.literal())
}

// maxAlternatives bounds what one call of covered looks at, coverBudget what all of them do. Beyond it a value may be taken
// for one that can be absent although it cannot.
const (
	maxAlternatives = 128
	coverBudget     = 2_000_000
)

// covered adds to conditions what follows when every branch of a split is among them: "a, or b" is "always" when a split
// chooses between a and b.
func (c *compiler) covered(conds []condition) []condition {
	for i := 0; i < len(conds) && len(conds) < maxAlternatives; i++ {
		for _, split := range c.routing.splits {
			rest := slices.DeleteFunc(slices.Clone(conds[i]), func(l int) bool { return slices.Contains(split, l) })
			if len(rest) == len(conds[i]) || slices.ContainsFunc(conds, func(cond condition) bool { return slices.Equal(cond, rest) }) {
				continue
			}
			if c.routing.budget -= len(split) * len(conds); c.routing.budget < 0 {
				return conds
			}
			missing := slices.ContainsFunc(split, func(l int) bool {
				with := rest.and(l)
				return !slices.ContainsFunc(conds, func(cond condition) bool { return cond.within(with) })
			})
			if !missing {
				conds = append(conds, rest)
				i = -1 // what was looked at may be covered now
				break
			}
		}
	}
	return conds
}

// shadows finds the nodes that run off the critical path: those marked, what they feed, and what feeds nothing else.
func (c *compiler) shadows() {
	r := c.routing
	marked := false
	for _, i := range c.order {
		r.shadow[i] = c.g.Nodes[i].Shadow || slices.ContainsFunc(c.deps[i], func(d int) bool { return r.shadow[d] })
		marked = marked || r.shadow[i]
	}
	if !marked {
		return
	}
	c.shadowOutputs()
	needed := make([]bool, len(c.g.Nodes)) // by something on the critical path
	var mark func(src Source)
	mark = func(src Source) {
		if src.Kind == SourceNode {
			needed[src.Index] = true
		}
		for _, alt := range src.First {
			mark(alt)
		}
	}
	for _, src := range c.outs {
		mark(src)
	}
	for _, i := range slices.Backward(c.order) {
		users := needed[i] || c.g.Nodes[i].Keep
		if !users && c.usedNode[i] {
			r.shadow[i] = true
		}
		if !r.shadow[i] {
			for _, d := range c.deps[i] {
				needed[d] = true
			}
		}
	}
}

func (c *compiler) shadowOutputs() {
	for i, src := range c.outs {
		alts := append([]Source{src}, src.First...)
		for _, alt := range alts {
			if alt.Kind == SourceNode && c.routing.shadow[alt.Index] {
				o := &c.g.Outputs[i]
				c.add(faultf(CodeShadowOutput, o.Pos, "the output comes from %s, which runs in the shadow and may not run at all",
					quote(c.g.Nodes[alt.Index].Name)).at("", o.Name).fix("take shadow away, or keep what it finds with a record"))
			}
		}
	}
}

// typeExprs types the expressions of all nodes.
func (c *compiler) typeExprs(s *state) {
	for _, i := range c.order {
		if e := c.routing.when[i]; e != nil {
			c.typeExpr(s, i, e, "a truth value", cel.BoolType, cel.DynType)
		}
		if e := c.routing.sticky[i]; e != nil {
			c.typeExpr(s, i, e, "text, a number or a truth value", cel.StringType, cel.IntType, cel.UintType, cel.DoubleType, cel.BoolType, cel.DynType)
		}
	}
}

func (c condition) key() string { return fmt.Sprint([]int(c)) }
