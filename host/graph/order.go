package graph

import (
	"slices"
	"strings"
)

// sort puts the nodes into topological order, in the order of the document where there is a choice, and reports cycles.
func (c *compiler) sort() {
	n := len(c.g.Nodes)
	c.cyclic = make([]bool, n)
	for _, component := range c.components() {
		first := slices.Min(component)
		if len(component) == 1 && !slices.Contains(c.deps[first], first) {
			continue
		}
		for _, i := range component {
			c.cyclic[i] = true
		}
		c.reportCycle(first, component)
	}
	waits := make([]int, n)
	next := make([][]int, n)
	for i, deps := range c.deps {
		for _, d := range deps {
			if !c.cyclic[d] {
				waits[i]++
				next[d] = append(next[d], i)
			}
		}
	}
	ready := []int{} // kept sorted: lists are short
	for i := range n {
		if waits[i] == 0 && !c.cyclic[i] {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		c.order = append(c.order, i)
		for _, k := range next[i] {
			if waits[k]--; waits[k] == 0 && !c.cyclic[k] {
				at, _ := slices.BinarySearch(ready, k)
				ready = slices.Insert(ready, at, k)
			}
		}
	}
}

// components returns the strongly connected components (Tarjan). The recursion is as deep as the graph, at most MaxNodes.
func (c *compiler) components() [][]int {
	t := &tarjan{deps: c.deps, index: make([]int, len(c.deps)), low: make([]int, len(c.deps)), onStack: make([]bool, len(c.deps))}
	for i := range c.deps {
		if t.index[i] == 0 {
			t.visit(i)
		}
	}
	return t.out
}

type tarjan struct {
	deps       [][]int
	index, low []int // from 1; 0 is not visited
	onStack    []bool
	stack      []int
	count      int
	out        [][]int
}

func (t *tarjan) visit(i int) {
	t.count++
	t.index[i], t.low[i] = t.count, t.count
	t.stack, t.onStack[i] = append(t.stack, i), true
	for _, d := range t.deps[i] {
		if t.index[d] == 0 {
			t.visit(d)
			t.low[i] = min(t.low[i], t.low[d])
		} else if t.onStack[d] {
			t.low[i] = min(t.low[i], t.index[d])
		}
	}
	if t.low[i] != t.index[i] {
		return
	}
	at := slices.Index(t.stack, i)
	component := slices.Clone(t.stack[at:])
	t.stack = t.stack[:at]
	for _, k := range component {
		t.onStack[k] = false
	}
	t.out = append(t.out, component)
}

// reportCycle names one shortest cycle through first, in the direction in which the data flows.
func (c *compiler) reportCycle(first int, component []int) {
	inside := make([]bool, len(c.g.Nodes))
	for _, i := range component {
		inside[i] = true
	}
	from := map[int]int{} // node -> the node that needs it, on the way back to first
	queue := []int{first}
	found := -1
	for len(queue) > 0 && found < 0 {
		i := queue[0]
		queue = queue[1:]
		for _, d := range c.deps[i] {
			if d == first {
				found = i
				break
			}
			if _, seen := from[d]; !seen && inside[d] {
				from[d] = i
				queue = append(queue, d)
			}
		}
	}
	path := []string{c.g.Nodes[first].Name}
	for i := found; i >= 0 && i != first; i = from[i] {
		path = append(path, c.g.Nodes[i].Name)
	}
	path = append(path, c.g.Nodes[first].Name)
	f := faultf(CodeCycle, c.g.Nodes[first].Pos, "nodes wait for each other: %s", strings.Join(clipPath(path), " -> ")).
		at(c.g.Nodes[first].Name, "")
	c.add(f.fix("let one of them take its input from somewhere else"))
}

// clipPath leaves out the middle of a long path.
func clipPath(path []string) []string {
	if len(path) <= maxListed {
		return path
	}
	return slices.Concat(path[:maxListed/2], []string{"..."}, path[len(path)-maxListed/2:])
}
