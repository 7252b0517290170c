package graph

import (
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"
)

// Mermaid returns the plan as a Mermaid flowchart: inputs and outputs round, models as boxes, plugins as hexagons, graphs
// as framed boxes; each arrow says what it carries.
func Mermaid(p *Plan) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, in := range p.Inputs {
		fmt.Fprintf(&b, "  in%d([\"%s<br/><i>%s</i>\"])\n", i, label(in.Name), label(in.Type.String()))
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		open, shut := shape(n.Kind)
		fmt.Fprintf(&b, "  n%d%s\"<b>%s</b><br/>%s\"%s\n", i, open, label(n.Name), label(n.Runs()), shut)
	}
	for i, out := range p.Outputs {
		fmt.Fprintf(&b, "  out%d([\"%s<br/><i>%s</i>\"])\n", i, label(out.Name), label(out.Type.String()))
	}
	for i := range p.Nodes {
		for _, in := range p.Nodes[i].Inputs {
			p.arrows(&b, in.From, fmt.Sprintf("n%d", i), in.arrow())
		}
	}
	for i, out := range p.Outputs {
		p.arrows(&b, out.From, fmt.Sprintf("out%d", i), "")
	}
	p.routes(&b)
	return b.String()
}

func (p *Plan) arrows(b *strings.Builder, src Source, to, mark string) {
	switch src.Kind {
	case SourceNone, SourceConst:
	case SourceInput:
		arrow(b, fmt.Sprintf("in%d", src.Index), to, strings.TrimSpace(mark))
	case SourceNode:
		arrow(b, fmt.Sprintf("n%d", src.Index), to, strings.TrimSpace(p.Nodes[src.Index].Outputs[src.Output].Port+mark))
	case SourceFirst:
		for _, alt := range src.First {
			p.arrows(b, alt, to, mark)
		}
	}
}

// routes draws what decides whether nodes run: dashed arrows from splits and from what conditions read.
func (p *Plan) routes(b *strings.Builder) {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Chosen != nil {
			fmt.Fprintf(b, "  n%d -.->|\"%d\"| n%d\n", n.Chosen.Node, n.Chosen.Weight, i)
		}
		if n.When == nil {
			continue
		}
		for _, in := range n.When.Inputs {
			from := fmt.Sprintf("in%d", in.From.Index)
			if in.From.Kind == SourceNode {
				from = fmt.Sprintf("n%d", in.From.Index)
			}
			fmt.Fprintf(b, "  %s -.->|\"%s\"| n%d\n", from, label("when "+n.When.Source), i)
		}
	}
}

func arrow(b *strings.Builder, from, to, text string) {
	if text == "" {
		fmt.Fprintf(b, "  %s --> %s\n", from, to)
		return
	}
	fmt.Fprintf(b, "  %s -->|\"%s\"| %s\n", from, label(text), to)
}

// arrow says what happens on the way to an input.
func (in *NodeInput) arrow() string {
	text := strings.Repeat(" each", min(in.Levels, 1))
	if in.Levels > 1 {
		text = fmt.Sprintf(" each of each (%d)", in.Levels)
	}
	if in.Convert == ConvertDecode {
		text += " decoded"
	}
	return text
}

func shape(k Kind) (open, shut string) {
	switch k {
	case KindPlugin:
		return "{{", "}}"
	case KindGraph:
		return "[[", "]]"
	case KindSplit:
		return "{", "}"
	default:
		return "[", "]"
	}
}

// label escapes text for a quoted Mermaid label, with Mermaid's own entities.
func label(s string) string {
	return strings.NewReplacer("&", "#amp;", "<", "#lt;", ">", "#gt;", `"`, "#quot;", "#", "#35;", "\n", " ").Replace(s)
}

// Runs says what a node runs: "model ppocr-det", "plugin ocr.cut_lines".
func (n *PlanNode) Runs() string {
	switch n.Kind {
	case KindModel:
		return "model " + n.Ref
	case KindPlugin:
		return "plugin " + n.Ref + "." + n.Function
	case KindGraph:
		return "graph " + n.Ref
	default:
		return "split"
	}
}

var trailing = regexp.MustCompile(`(?m) +$`)

// Text returns the plan as text for people: inputs, nodes in the order in which they can run, outputs.
func Text(p *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s\n", p.Name)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, in := range p.Inputs {
		optional := ""
		if in.Optional {
			optional = "\toptional"
		}
		fmt.Fprintf(w, "  in\t%s\t%s%s\n", in.Name, in.Type, optional)
	}
	for i := range p.Nodes {
		p.textNode(w, &p.Nodes[i])
	}
	for _, out := range p.Outputs {
		optional := ""
		if out.Optional {
			optional = ", may be absent"
		}
		fmt.Fprintf(w, "  out\t%s\t%s\t<- %s%s\n", out.Name, out.Type, p.SourceName(out.From), optional)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return trailing.ReplaceAllString(b.String(), "")
}

func (p *Plan) textNode(w *tabwriter.Writer, n *PlanNode) {
	fmt.Fprintf(w, "  node\t%s\t%s", n.Name, n.Runs())
	fmt.Fprintf(w, "\t%s\n", strings.Join(p.marks(n), ", "))
	for _, in := range n.Inputs {
		if in.From.Kind != SourceNone {
			fmt.Fprintf(w, "  \t  %s\t%s\t<- %s%s\n", in.Port, in.Type, p.SourceName(in.From), in.arrow())
		}
	}
	for _, out := range n.Outputs {
		fmt.Fprintf(w, "  \t  %s\t%s\t->\n", out.Port, out.Edge)
	}
}

// marks says what is special about when and how a node runs.
func (p *Plan) marks(n *PlanNode) []string {
	var out []string
	if n.Levels > 0 {
		out = append(out, "each")
	}
	if n.When != nil {
		out = append(out, "when "+n.When.Source)
	}
	if n.Chosen != nil {
		out = append(out, fmt.Sprintf("%d by %s", n.Chosen.Weight, p.Nodes[n.Chosen.Node].Name))
	}
	if n.Split != nil && n.Split.Sticky != nil {
		out = append(out, "sticky "+n.Split.Sticky.Source)
	}
	if n.Shadow {
		out = append(out, "shadow")
	}
	if n.Keep {
		out = append(out, "kept")
	}
	if n.OnError == OnErrorSkip {
		out = append(out, "failed items are left out")
	}
	if n.Timeout > 0 {
		out = append(out, "timeout "+n.Timeout.String())
	}
	if n.Priority != 0 {
		out = append(out, fmt.Sprintf("priority %+d", n.Priority))
	}
	if n.Cache != nil {
		out = append(out, "cached")
	}
	if len(n.MayCall) > 0 {
		out = append(out, "may call "+strings.Join(n.MayCall, ", "))
	}
	if n.Conditional {
		out = append(out, "may be skipped")
	}
	return out
}

// SourceName writes a source as a definition refers to it: "photo", "cut.lines".
func (p *Plan) SourceName(src Source) string {
	switch src.Kind {
	case SourceInput:
		return p.Inputs[src.Index].Name
	case SourceNode:
		n := &p.Nodes[src.Index]
		return n.Name + "." + n.Outputs[src.Output].Port
	case SourceConst:
		return "a constant"
	case SourceFirst:
		names := make([]string, len(src.First))
		for i, alt := range src.First {
			names[i] = p.SourceName(alt)
		}
		return "the first of " + strings.Join(names, ", ")
	default:
		return "nothing"
	}
}
