package graph

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a definition.
type Fault struct {
	// Code is stable; docs/graph-language.md lists them all.
	Code Code `json:"code"`
	// Graph, Node and Port name the place; Node and Port are empty where they make no sense.
	Graph string `json:"graph,omitempty"`
	Node  string `json:"node,omitempty"`
	Port  string `json:"port,omitempty"`
	// Line and Column count from 1; 0 when the definition has no text.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Expected and Found are the two sides of a mismatch.
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	// Message says what is wrong, Fix what would mend it.
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
	// Path is the JSON pointer of a value in `with`.
	Path string `json:"path,omitempty"`
}

// Error returns the fault in one line.
func (f *Fault) Error() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", f.Line, f.Column)
	}
	if f.Node != "" {
		fmt.Fprintf(&b, "node %s: ", f.Node)
	}
	if f.Port != "" {
		fmt.Fprintf(&b, "port %s: ", f.Port)
	}
	b.WriteString(f.Message)
	if f.Expected != "" || f.Found != "" {
		fmt.Fprintf(&b, " (expected %s, found %s)", f.Expected, f.Found)
	}
	if f.Fix != "" {
		b.WriteString("; " + f.Fix)
	}
	fmt.Fprintf(&b, " [%s]", f.Code)
	return b.String()
}

// Faults are all faults of a definition, in the order of the text. Get at them with errors.As.
type Faults []*Fault

// Error returns one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}
