package graph

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Sizes of a picture, in pixels.
const (
	margin     = 24
	pillHeight = 40
	headHeight = 40 // of a node without ports
	markHeight = 15
	rowHeight  = 18
	padding    = 12
)

// svgStyle colours a picture; it stands on a white ground, so that it reads the same everywhere.
const svgStyle = `
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2933}
.name{font-weight:600;font-size:13px}.runs,.mark{fill:#52606d;font-size:11px}.mark{font-style:italic}.port{font-size:11px}
.type{fill:#7b8794;font-size:10px}
rect{stroke-width:1.2}.model{fill:#e6f0ff;stroke:#3f78c4}.plugin{fill:#e8f6ec;stroke:#3d9a5b}.graph{fill:#f1e9fb;stroke:#8253bd}
.split{fill:#fff4dc;stroke:#c78a1b}.edge{fill:none;stroke:#7b8794;stroke-width:1.3}.list{stroke-width:2.8}
.route{stroke-dasharray:5 4;stroke:#c78a1b}.pill{fill:#f5f7fa;stroke:#9aa5b1}.shadow{stroke-dasharray:5 4;fill-opacity:.45}
.dot{fill:#7b8794;stroke:none}`

// SVG returns the plan as a picture: layers from left to right, each node with its ports, thick lines for lists, dashed ones
// for what decides whether a node runs, dashed frames for nodes off the critical path. Every box and line says more as a
// tooltip. The text is a whole SVG file.
func SVG(p *Plan) string {
	d := &drawing{plan: p}
	d.boxes()
	d.lines()
	d.arrange()
	return d.write()
}

// drawing is one picture. Boxes stand in the order inputs, nodes, outputs, then places of lines.
type drawing struct {
	layout
	plan  *Plan
	texts []boxText
}

// boxText is what is written in a box.
type boxText struct {
	class, name, runs, title string
	marks                    []string
	ins, outs                []portText
}

type portText struct {
	name, title string
	at          int // index among the node's ports
}

func (d *drawing) add(t boxText, head float64) {
	b := &box{h: head, w: max(textWidth(t.name, 13.8), textWidth(t.runs, 11)) + 2*padding}
	for _, m := range t.marks {
		b.w = max(b.w, textWidth(m, 11)+2*padding)
	}
	rows := max(len(t.ins), len(t.outs))
	left, right := 0.0, 0.0
	for k := range t.ins {
		left = max(left, textWidth(t.ins[k].name, 11))
		b.in = append(b.in, port{head + rowHeight*(float64(k)+0.5)})
	}
	for k := range t.outs {
		right = max(right, textWidth(t.outs[k].name, 11))
		b.out = append(b.out, port{head + rowHeight*(float64(k)+0.5)})
	}
	if rows > 0 {
		b.h += rowHeight*float64(rows) + 6
		b.w = max(b.w, left+right+2*padding+24)
	}
	d.layout.boxes = append(d.layout.boxes, b)
	d.texts = append(d.texts, t)
}

// pill adds an input or output of the graph.
func (d *drawing) pill(name string, t Type, mark string, in bool) {
	text := boxText{class: "pill", name: name, runs: clip(t.String(), 48), title: name + ": " + t.String()}
	if mark != "" {
		text.title += ", " + mark
	}
	d.add(text, pillHeight)
	b := d.layout.boxes[len(d.layout.boxes)-1]
	if in {
		b.out = []port{{pillHeight / 2}}
	} else {
		b.in, b.sink = []port{{pillHeight / 2}}, true
	}
}

func (d *drawing) boxes() {
	for _, in := range d.plan.Inputs {
		mark := ""
		if in.Optional {
			mark = "optional"
		}
		d.pill(in.Name, in.Type, mark, true)
	}
	for i := range d.plan.Nodes {
		n := &d.plan.Nodes[i]
		t := boxText{class: kindClass(n), name: n.Name, runs: n.Runs(), title: n.Name + ": " + n.Runs()}
		for _, m := range d.plan.marks(n) {
			t.marks = append(t.marks, clip(m, 60))
			t.title += "\n" + m
		}
		for k, in := range n.Inputs {
			if in.From.Kind != SourceNone {
				t.ins = append(t.ins, portText{in.Port + in.arrow(), in.Port + ": " + in.Type.String() + " from " + d.plan.SourceName(in.From), k})
			}
		}
		for k, out := range n.Outputs {
			t.outs = append(t.outs, portText{out.Port, out.Port + ": " + out.Edge.String(), k})
		}
		d.add(t, headHeight+markHeight*float64(len(t.marks)))
	}
	for _, out := range d.plan.Outputs {
		mark := ""
		if out.Optional {
			mark = "may be absent"
		}
		d.pill(out.Name, out.Type, mark, false)
	}
}

func kindClass(n *PlanNode) string {
	class := map[Kind]string{KindModel: "model", KindPlugin: "plugin", KindGraph: "graph", KindSplit: "split"}[n.Kind]
	if n.Shadow {
		class += " shadow"
	}
	return class
}

func (d *drawing) lines() {
	nodes := len(d.plan.Inputs)
	outputs := nodes + len(d.plan.Nodes)
	for i := range d.plan.Nodes {
		n := &d.plan.Nodes[i]
		for k, in := range d.texts[nodes+i].ins {
			d.line(n.Inputs[in.at].From, nodes+i, k, in.title)
		}
		if n.Chosen != nil {
			d.layout.lines = append(d.layout.lines, line{
				from: nodes + n.Chosen.Node, to: nodes + i, in: -1, dashed: true, text: fmt.Sprintf("weight %d", n.Chosen.Weight),
			})
		}
		for _, e := range []*Expr{n.When, sticky(n)} {
			if e == nil {
				continue
			}
			for _, in := range e.Inputs {
				before := len(d.layout.lines)
				d.line(in.From, nodes+i, -1, e.Source)
				for k := range d.layout.lines[before:] {
					d.layout.lines[before+k].dashed = true
				}
			}
		}
	}
	for i, out := range d.plan.Outputs {
		d.line(out.From, outputs+i, 0, out.Name+" from "+d.plan.SourceName(out.From))
	}
}

func sticky(n *PlanNode) *Expr {
	if n.Split == nil {
		return nil
	}
	return n.Split.Sticky
}

// line adds the lines of one source.
func (d *drawing) line(src Source, to, in int, title string) {
	switch src.Kind {
	case SourceInput:
		d.layout.lines = append(d.layout.lines, line{from: src.Index, to: to, in: in, list: d.plan.Inputs[src.Index].Type.List > 0, text: title})
	case SourceNode:
		d.layout.lines = append(d.layout.lines, line{
			from: len(d.plan.Inputs) + src.Index, out: src.Output, to: to, in: in,
			list: d.plan.Nodes[src.Index].Outputs[src.Output].Edge.List > 0, text: title,
		})
	case SourceFirst:
		for _, alt := range src.First {
			d.line(alt, to, in, title)
		}
	case SourceNone, SourceConst:
	}
}

func (d *drawing) write() string {
	var b strings.Builder
	last := len(d.left) - 1
	w, h := d.left[last]+d.width[last]+margin, d.height
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`,
		w, h, w, h, escape("graph "+d.plan.Name))
	fmt.Fprintf(&b, "\n<title>%s</title>\n<style>%s</style>\n", escape("graph "+d.plan.Name), svgStyle)
	b.WriteString(`<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" ` +
		`markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.5 L8,4 L0,7.5 Z" fill="#7b8794"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n", w, h)
	for i := range d.layout.lines {
		d.writeLine(&b, &d.layout.lines[i])
	}
	for i := range d.texts {
		d.writeBox(&b, i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// x returns the left edge of a box: inputs stand at the right of their column, everything else at its left.
func (d *drawing) x(i int) float64 {
	b := d.layout.boxes[i]
	if i < len(d.plan.Inputs) {
		return d.left[b.layer] + d.width[b.layer] - b.w
	}
	return d.left[b.layer]
}

func (d *drawing) writeLine(b *strings.Builder, n *line) {
	class := "edge"
	if n.list {
		class += " list"
	}
	if n.dashed {
		class += " route"
	}
	from, to := d.layout.boxes[n.from], d.layout.boxes[n.to]
	x, y := d.x(n.from)+from.w, from.y+from.h/2
	if n.out < len(from.out) {
		y = from.y + from.out[n.out].y
	}
	fmt.Fprintf(b, `<path class="%s" marker-end="url(#tip)" d="M%.1f,%.1f`, class, x, y)
	if edge := d.left[from.layer] + d.width[from.layer]; edge > x {
		x = edge // no bend before the column ends: a wider box may stand below
		fmt.Fprintf(b, " L%.1f,%.1f", x, y)
	}
	for _, v := range n.via {
		pass := d.layout.boxes[v]
		left, middle := d.left[pass.layer], pass.y+pass.h/2
		curve(b, x, y, left, middle)
		x, y = left+d.width[pass.layer], middle
		fmt.Fprintf(b, " L%.1f,%.1f", x, y)
	}
	end := to.y + headHeight/2
	if n.in >= 0 {
		end = to.y + to.in[n.in].y
	}
	curve(b, x, y, d.x(n.to), end)
	fmt.Fprintf(b, `"><title>%s</title></path>`+"\n", escape(n.text))
}

// curve appends a bend that leaves and arrives level.
func curve(b *strings.Builder, x, y, toX, toY float64) {
	half := (toX - x) / 2
	fmt.Fprintf(b, " C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x+half, y, toX-half, toY, toX, toY)
}

func (d *drawing) writeBox(b *strings.Builder, i int) {
	bx, t, x := d.layout.boxes[i], &d.texts[i], d.x(i)
	round := 6.0
	if t.class == "pill" {
		round = pillHeight / 2
	}
	fmt.Fprintf(b, `<g><title>%s</title><rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.0f"/>`,
		escape(t.title), t.class, x, bx.y, bx.w, bx.h, round)
	put := func(class, anchor string, x, y float64, text, title string) {
		fmt.Fprintf(b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s`, class, anchor, x, y, escape(text))
		if title != "" {
			fmt.Fprintf(b, `<title>%s</title>`, escape(title))
		}
		b.WriteString("</text>")
	}
	middle := x + bx.w/2
	put("name", "middle", middle, bx.y+17, t.name, "")
	if t.class == "pill" {
		put("type", "middle", middle, bx.y+31, t.runs, "")
	} else {
		put("runs", "middle", middle, bx.y+32, t.runs, "")
	}
	for k, m := range t.marks {
		put("mark", "middle", middle, bx.y+32+markHeight*float64(k+1), m, "")
	}
	for k, p := range t.ins {
		put("port", "start", x+padding, bx.y+bx.in[k].y+4, p.name, p.title)
	}
	for k, p := range t.outs {
		put("port", "end", x+bx.w-padding, bx.y+bx.out[k].y+4, p.name, p.title)
		fmt.Fprintf(b, `<circle class="dot" cx="%.1f" cy="%.1f" r="2.5"/>`, x+bx.w, bx.y+bx.out[k].y)
	}
	b.WriteString("</g>\n")
}

// textWidth guesses how wide text is at a size: letters of the fonts that it is set in differ little, wide scripts much.
func textWidth(s string, size float64) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case r >= 0x1100:
			w += 1
		case strings.ContainsRune("il.,:;|!'[]()", r):
			w += 0.36
		case strings.ContainsRune("mwMW@", r):
			w += 0.92
		default:
			w += 0.6
		}
	}
	return w * size
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything; what XML cannot say becomes a replacement sign
	return b.String()
}
