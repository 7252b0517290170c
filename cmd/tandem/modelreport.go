package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/tandem-serve/tandem/runners/probe"
)

// maxOperators is how many kinds of operators are listed for people.
const maxOperators = 12

// print prints a report.
func (c *modelCheckCmd) print(e *env, r *probe.Report) error {
	if c.json() {
		return e.printDocument(r)
	}
	t := e.table()
	t.row("file", c.File)
	t.row("digest", r.Digest)
	t.row("size", fmt.Sprintf("%s, %s of them weights", humanize.IBytes(uint64(r.SizeBytes)), humanize.IBytes(uint64(r.WeightBytes))))
	if r.Producer != "" {
		t.row("producer", r.Producer)
	}
	t.row("opsets", opsets(r.Opsets))
	t.row("operators", operators(r))
	for _, p := range r.Inputs {
		t.row("input", p.Name+"  "+p.Type+dynamic(p))
	}
	for _, p := range r.Outputs {
		t.row("output", p.Name+"  "+p.Type)
	}
	if len(r.Inputs) > 0 {
		t.row("batched", yesOr(r.NotBatched))
	}
	measuredRows(t, r)
	for _, f := range r.Faults {
		t.row("fault", f)
	}
	t.row("served", map[bool]string{true: "yes", false: "no"}[len(r.Faults) == 0])
	return t.flush()
}

func measuredRows(t table, r *probe.Report) {
	m := r.Measured
	if m == nil {
		t.row("measured", "no: "+r.NotMeasured)
		return
	}
	for _, p := range m.Providers {
		text := p.Name + ": "
		switch {
		case !p.Runs:
			text += "no, " + p.Says
		case p.Says == "":
			text += "yes"
		default:
			text += "yes, " + p.Says
		}
		t.row("provider", text)
	}
	if m.LoadedBytes > 0 {
		t.row("memory", fmt.Sprintf("%s more when loaded, at most %s more while it ran", humanize.IBytes(uint64(m.LoadedBytes)), humanize.IBytes(uint64(m.PeakBytes))))
	}
	t.row("loading", fmt.Sprintf("%.0f ms in ONNX Runtime %s", m.LoadMillis, m.Library))
	if m.NotRun != "" {
		t.row("latency", "not measured: "+m.NotRun+" (--size and --fill say what to run it on)")
	}
	if len(m.Shapes) > 0 {
		t.row("run on", strings.Join(m.Shapes, "; "))
	}
	for _, run := range m.Runs {
		t.row("latency", fmt.Sprintf("%s: %.3f ms median, %.3f ms least of %d runs on %s", plural(run.Rows, "row"), run.MedianMillis,
			run.MinMillis, run.Count, plural(int64(m.Threads), "thread")))
	}
}

// plural writes a number of things.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func opsets(versions map[string]int64) string {
	var parts []string
	for _, domain := range slices.Sorted(maps.Keys(versions)) {
		parts = append(parts, fmt.Sprintf("%s %d", domain, versions[domain]))
	}
	return strings.Join(parts, ", ")
}

// operators lists the most frequent operators.
func operators(r *probe.Report) string {
	names := slices.SortedFunc(maps.Keys(r.Operators), func(a, b string) int {
		if d := r.Operators[b] - r.Operators[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	text := fmt.Sprintf("%d nodes", r.Nodes)
	for i, name := range names {
		if i == maxOperators {
			return text + fmt.Sprintf(" and %d more kinds", len(names)-i)
		}
		text += map[bool]string{true: ": ", false: ", "}[i == 0] + fmt.Sprintf("%s %d", name, r.Operators[name])
	}
	return text
}

func dynamic(p probe.Port) string {
	if len(p.Dynamic) == 0 {
		return ""
	}
	return "  (open: " + strings.Join(p.Dynamic, ", ") + ")"
}

func yesOr(why string) string {
	if why == "" {
		return "yes"
	}
	return "no: " + why
}
