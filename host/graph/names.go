package graph

import (
	"regexp"
	"slices"
)

var (
	graphName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
	localName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)
)

// reserved are the names that expressions (CEL) and the language itself give a meaning.
func reserved() []string {
	return []string{
		"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
		"namespace", "null", "package", "return", "sticky", "true", "var", "void", "while",
	}
}

// names checks the names of the graph and of everything in it, and indexes them; false means that there is too much of it.
func (c *compiler) names() bool {
	g := c.g
	if !g.unnamed && !graphName.MatchString(g.Name) {
		c.add(faultf(CodeBadName, g.Pos, "%s is no name for a graph", quote(g.Name)).
			fix("names of graphs are 1 to %d of a-z, 0-9, _, . and -, and start with a letter or digit", MaxNameBytes))
	}
	before := len(c.faults)
	c.bound(len(g.Nodes), MaxNodes, "the graph", "nodes")
	c.bound(len(g.Inputs), MaxPorts, "the graph", "inputs")
	c.bound(len(g.Outputs), MaxPorts, "the graph", "outputs")
	for i := range g.Nodes {
		c.bound(len(g.Nodes[i].In), MaxPorts, "the node "+quote(g.Nodes[i].Name), "inputs")
	}
	if len(c.faults) > before {
		return false
	}
	c.inputs, c.nodes = map[string]int{}, map[string]int{}
	for i := range g.Inputs {
		in := &g.Inputs[i]
		c.name(in.Name, "an input", in.Pos, "", in.Name)
		if _, dup := c.inputs[in.Name]; dup {
			c.add(faultf(CodeDuplicateInput, in.Pos, "there are two inputs %s", quote(in.Name)).at("", in.Name))
			continue
		}
		c.inputs[in.Name] = i
	}
	for i := range g.Nodes {
		c.nodeName(i)
	}
	seen := map[string]bool{}
	for i := range g.Outputs {
		o := &g.Outputs[i]
		c.name(o.Name, "an output", o.Pos, "", o.Name)
		if seen[o.Name] {
			c.add(faultf(CodeDuplicateOutput, o.Pos, "there are two outputs %s", quote(o.Name)).at("", o.Name))
		}
		seen[o.Name] = true
	}
	return true
}

func (c *compiler) nodeName(i int) {
	n := &c.g.Nodes[i]
	c.name(n.Name, "a node", n.Pos, n.Name, "")
	if _, dup := c.nodes[n.Name]; dup {
		c.add(faultf(CodeDuplicateNode, n.Pos, "there are two nodes %s", quote(n.Name)).at(n.Name, ""))
		return
	}
	c.nodes[n.Name] = i
	if _, both := c.inputs[n.Name]; both {
		c.add(faultf(CodeNameConflict, n.Pos, "%s is an input and a node", quote(n.Name)).at(n.Name, "").fix("rename one of them"))
	}
}

func (c *compiler) bound(n, most int, owner, what string) {
	if n > most {
		c.add(faultf(CodeLimit, c.g.Pos, "%s has %d %s, more than %d", owner, n, what, most))
	}
}

func (c *compiler) name(name, what string, pos Pos, node, port string) {
	switch {
	case !localName.MatchString(name):
		c.add(faultf(CodeBadName, pos, "%s is no name for %s", quote(name), what).at(clip(node, 80), clip(port, 80)).
			fix("names are 1 to %d letters, digits and _, and start with a letter", MaxNameBytes))
	case slices.Contains(reserved(), name):
		c.add(faultf(CodeReservedName, pos, "%s is a word of the language and cannot name %s", quote(name), what).
			at(node, port).fix("choose another name, for instance %s", quote(name+"_1")))
	}
}
