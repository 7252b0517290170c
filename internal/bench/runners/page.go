package runners

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/tandem-serve/tandem/internal/bench/report"
)

// figure is the name of a result of one side: "sentiment x16 engine, whole runs p50".
var figure = regexp.MustCompile(`^(\S+) x(\d+) (bare|batcher|worker|engine, whole runs|engine|connect|grpc, whole runs|grpc) (.+)$`)

// page writes the tables of docs/perf/runners.md.
func page(r *report.Report, w io.Writer) error {
	p := &pages{w: w, r: r, values: map[string]string{}, err: r.WriteTargets(w)}
	for _, res := range r.Results {
		p.values[res.Name] = report.Number(res.Value)
	}
	p.sides()
	p.open()
	p.alone()
	return p.err
}

// pages writes tables of one report.
type pages struct {
	w      io.Writer
	r      *report.Report
	values map[string]string // of results, by name
	err    error
}

func (p *pages) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table writes a table whose cells are the results that name gives; a row without any is left out.
func (p *pages) table(title, corner string, rows, columns []string, name func(row, column string) string) {
	p.line("\n## %s\n\n| %s | %s |\n| --- |%s", title, corner, strings.Join(columns, " | "), strings.Repeat(" ---: |", len(columns)))
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = p.values[name(row, c)]
		}
		if strings.Join(cells, "") != "" {
			p.line("| %s | %s |", row, strings.Join(cells, " | "))
		}
	}
}

// sides writes one table for each figure that all ways to a model have, and one for what those over the network cost.
func (p *pages) sides() {
	var rows, sides, served []string
	for _, res := range p.r.Results {
		m := figure.FindStringSubmatch(res.Name)
		if m == nil {
			continue
		}
		if m[4] == "p50" {
			rows, sides = with(rows, m[1]+" x"+m[2]), with(sides, m[3])
		}
		if strings.Contains(m[4], "processor time") {
			served = with(served, m[1]+" x"+m[2]+" "+m[3])
		}
	}
	for _, f := range []struct{ title, name string }{
		{"Rows per second", "throughput"}, {"p50, ms", "p50"}, {"p99, ms", "p99"}, {"p99.9, ms", "p99.9"},
	} {
		p.table(f.title, "callers", rows, sides, func(row, side string) string { return row + " " + side + " " + f.name })
	}
	p.table("What a call costs, in µs of processor time, allocations and bytes", "", served,
		[]string{"generator's processor time", "server's processor time", "server's allocations", "copied on edges"},
		func(row, cost string) string { return row + " " + cost })
}

func (p *pages) open() {
	var rows []string
	for _, res := range p.r.Results {
		if row, _, ok := strings.Cut(res.Name, ", due"); ok {
			rows = append(rows, row)
		}
	}
	p.table("Open loop through gRPC", "", rows, []string{"due", "goodput", "answered in time", "deadline", "p50", "p99", "p99.9"},
		func(row, column string) string { return row + ", " + column })
}

func (p *pages) alone() {
	var rows []string
	for _, res := range p.r.Results {
		if row, _, ok := strings.Cut(res.Name, " alone, "); ok {
			rows = with(rows, row)
		}
	}
	columns := []string{"bare allocations", "batcher allocations", "engine allocations", "bare bytes allocated", "batcher bytes allocated", "engine bytes allocated"}
	p.table("One request alone", "", rows, columns, func(row, column string) string { return row + " alone, " + column })
}

// with adds s to list unless it is there.
func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
