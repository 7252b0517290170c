package graph

import (
	"fmt"
	"sort"
	"strings"
)

// Fault is one thing that is wrong with a definition.
type Fault struct { //nolint:errname // a fault is what the language calls it
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
type Faults []*Fault //nolint:errname // likewise

// Error returns one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// faultf returns a fault at a place.
func faultf(code Code, pos Pos, format string, args ...any) *Fault {
	return &Fault{Code: code, Line: pos.Line, Column: pos.Column, Message: fmt.Sprintf(format, args...)}
}

// at returns the fault with the names of its place.
func (f *Fault) at(node, port string) *Fault {
	f.Node, f.Port = node, port
	return f
}

// fix returns the fault with advice.
func (f *Fault) fix(format string, args ...any) *Fault {
	if format != "" {
		f.Fix = fmt.Sprintf(format, args...)
	}
	return f
}

// between returns the fault with the two sides of a mismatch.
func (f *Fault) between(expected, found string) *Fault {
	f.Expected, f.Found = expected, found
	return f
}

// clip shortens text from outside for a message.
func clip(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}

// finish sorts faults by place, drops repetitions and bounds their number.
func (fs Faults) finish(graph string) Faults {
	sort.SliceStable(fs, func(i, j int) bool {
		if fs[i].Line != fs[j].Line {
			return fs[i].Line < fs[j].Line
		}
		return fs[i].Column < fs[j].Column
	})
	out := fs[:0:0]
	seen := map[Fault]bool{}
	for _, f := range fs {
		f.Graph = graph
		if !seen[*f] {
			seen[*f] = true
			out = append(out, f)
		}
	}
	if len(out) > MaxFaults {
		more := len(out) - MaxFaults
		last := *out[MaxFaults-1]
		last.Code, last.Fix = CodeLimit, ""
		last.Message = fmt.Sprintf("%d more faults are not shown", more+1)
		last.Node, last.Port, last.Expected, last.Found, last.Path = "", "", "", "", ""
		out = append(out[:MaxFaults-1], &last)
	}
	return out
}
