package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
)

// drawn is a graph over text and lists of text that uses every part of the language.
type drawn struct {
	t     *rapid.T
	texts []string // references to text
	lists []string // references to lists of text
	rows  []string // lines of nodes
	nodes int
	dark  map[string]bool // references to what runs in the shadow
	shade bool            // the node that is drawn does
}

func (d *drawn) name() string {
	d.nodes++
	return fmt.Sprintf("n%d", d.nodes)
}

func (d *drawn) pick(label string, refs []string) string {
	ref := rapid.SampledFrom(refs).Draw(d.t, label)
	d.shade = d.shade || d.dark[ref]
	return ref
}

// gives adds what a node gives to what others may read.
func (d *drawn) gives(to *[]string, refs ...string) {
	for _, ref := range refs {
		d.dark[ref] = d.shade
	}
	*to = append(*to, refs...)
}

// source draws what feeds a text port.
func (d *drawn) source() string {
	switch rapid.IntRange(0, 9).Draw(d.t, "source") {
	case 0:
		return `{value: "a constant"}`
	case 1, 2:
		return "{first: [" + d.pick("one", d.texts) + ", " + d.pick("other", d.texts) + "]}"
	default:
		return d.pick("text", d.texts)
	}
}

// keys draws what decides whether and how a node runs.
func (d *drawn) keys() string {
	var b strings.Builder
	if rapid.IntRange(0, 4).Draw(d.t, "when") == 0 {
		fmt.Fprintf(&b, ", when: \"%s != 'zz'\"", d.pick("condition", d.texts))
	}
	for _, key := range []string{"cache: true", "shadow: true", "timeout: 20s"} {
		if rapid.IntRange(0, 7).Draw(d.t, key) == 0 {
			b.WriteString(", " + key)
			d.shade = d.shade || key == "shadow: true"
		}
	}
	return b.String() + ", keep: true"
}

func (d *drawn) add(format string, args ...any) {
	d.rows = append(d.rows, fmt.Sprintf(format, args...))
}

func (d *drawn) node() {
	n := d.name()
	d.shade = false
	switch rapid.IntRange(0, 6).Draw(d.t, "node") {
	case 0:
		d.add("  %s: {plugin: p, call: words, in: {s: %s}%s}", n, d.source(), d.keys())
		d.gives(&d.lists, n+".words")
	case 1:
		list := d.pick("list", d.lists)
		d.add("  %s: {plugin: p, call: count, in: {list: %s}%s}", n, list, d.keys())
		d.gives(&d.texts, n+".n")
	case 2:
		list, skip := d.pick("list", d.lists), rapid.SampledFrom([]string{"", ", on_error: skip"}).Draw(d.t, "on_error")
		d.add("  %s: {plugin: p, call: join, each: %s, in: {a: %s, b: %s}%s%s}", n, list, list, d.source(), skip, d.keys())
		d.gives(&d.lists, n+".s")
	case 3:
		a, b := d.name(), d.name()
		d.add("  %s: {split: {%s: 1, %s: 1, sticky: %s}}", n, a, b, d.pick("sticky", d.texts))
		d.add("  %s: {plugin: p, call: echo, in: {s: %s}, keep: true}", a, d.source())
		d.add("  %s: {plugin: p, call: upper, in: {s: %s}, keep: true}", b, d.source())
		d.gives(&d.texts, a+".s", b+".s")
	case 4:
		d.add("  %s: {graph: inner, in: {s: %s}%s}", n, d.source(), d.keys())
		d.gives(&d.texts, n+".s")
		d.gives(&d.lists, n+".words")
	default:
		d.add("  %s: {plugin: p, call: join, in: {a: %s, b: %s}%s}", n, d.source(), d.source(), d.keys())
		d.gives(&d.texts, n+".s")
	}
}

func (d *drawn) document() string {
	outputs := []string{"s: s", "d: d", "l: l"}
	for i, ref := range append(d.texts[2:], d.lists[1:]...) {
		if !d.dark[ref] && rapid.IntRange(0, 2).Draw(d.t, "output") == 0 {
			outputs = append(outputs, fmt.Sprintf("o%d: %q", i, ref))
		}
	}
	return "graph: drawn\ninputs:\n  s: text\n  l: list of text\n  d: {type: text, default: \"by default\"}\noutputs: {" +
		strings.Join(outputs, ", ") + "}\nnodes:\n" + strings.Join(d.rows, "\n") + "\n"
}

// TestWhatValidatesRuns: a graph that validates never fails for its types, whatever part of the language it uses, with no
// items or many; nothing is left behind, and an answer without optional outputs has them all.
func TestWhatValidatesRuns(t *testing.T) {
	w := texts()
	w.graphs["inner"] = w.build(t, `
graph: inner
inputs: {s: text}
outputs: {s: up.s, words: words.words}
nodes:
  up:    {plugin: p, call: upper, in: {s: s}}
  words: {plugin: p, call: words, in: {s: up.s}}
  note:  {plugin: p, call: echo, in: {s: up.s}, shadow: true}
`)
	e := engine.New(engine.Config{MemoryBytes: 1 << 30, CacheBytes: 50_000})
	ran, refused := 0, map[graph.Code]int{}
	rapid.Check(t, func(rt *rapid.T) {
		d := &drawn{t: rt, texts: []string{"s", "d"}, lists: []string{"l"}, dark: map[string]bool{}}
		for range rapid.IntRange(1, 8).Draw(rt, "nodes") {
			d.node()
		}
		doc := d.document()
		plan, err := graph.Check([]byte(doc), w)
		if faults, ok := errors.AsType[graph.Faults](err); ok {
			for _, f := range faults {
				refused[f.Code]++
			}
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		ran++
		var list []string
		for range rapid.IntRange(0, 3).Draw(rt, "items") {
			list = append(list, rapid.SampledFrom([]string{"", "a", "b c"}).Draw(rt, "item"))
		}
		res, err := e.Run(t.Context(), w.release(plan), engine.Request{Inputs: map[string]value.Value{
			"s": value.Text(rapid.SampledFrom([]string{"", "zz", "x y"}).Draw(rt, "s")), "l": textList(list...),
		}})
		if err != nil {
			rt.Fatalf("%v\n%s", err, doc)
		}
		for _, out := range plan.Outputs {
			if v := res.Outputs[out.Name]; v.IsZero() && !out.Optional {
				rt.Fatalf("output %s is absent\n%s", out.Name, doc)
			}
		}
		res.Release()
	})
	e.Close(t.Context())
	if s := e.Stats(); s.MemoryBytes != 0 || s.Shadows != 0 {
		t.Errorf("left behind: %+v", s)
	}
	if ran < 20 {
		t.Errorf("%d graphs ran: the test shows nothing; refused: %v", ran, refused)
	}
	t.Logf("%d ran, refused: %v", ran, refused)
}
