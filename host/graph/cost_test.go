package graph_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/graph"
)

// hostile returns documents that are as expensive as their bounds allow.
func hostile() map[string]string {
	out := map[string]string{
		"commas":      "graph: [" + strings.Repeat("a,", 199_000) + "a]",
		"open":        "graph: " + strings.Repeat("[", 190_000),
		"indent":      strings.Repeat("- ", 190_000) + "a",
		"unknown":     "graph: g\n" + strings.Repeat("? a\n", 90_000),
		"plain":       "graph: " + strings.Repeat("a ", 500_000),
		"quotes":      "graph: \"" + strings.Repeat("\\u0041", 170_000) + "\"",
		"json":        `{"graph": [` + strings.Repeat("1,", 199_000) + "1]}",
		"json string": `{"graph": "` + strings.Repeat(`\u0041`, 170_000) + `"}`,
	}
	const head = "graph: g\ninputs: {a: text, j: json}\noutputs: {a: a, j: j}\nnodes:\n"
	var keys, refs, whens, loops, withs, dims, splits, firsts strings.Builder
	keys.WriteString("graph: g\n")
	for i := range 40_000 {
		fmt.Fprintf(&keys, "key%d: 1\n", i)
	}
	for _, b := range []*strings.Builder{&refs, &whens, &loops, &withs, &dims, &splits, &firsts} {
		b.WriteString(head)
	}
	for i := range 900 {
		fmt.Fprintf(&refs, "  n%d: {plugin: text, call: upper, in: {", i)
		for k := range 32 {
			fmt.Fprintf(&refs, "p%d: node_number_%d.text, ", k, i*32+k)
		}
		refs.WriteString("}}\n")
		fmt.Fprintf(&dims, "  n%d: {model: adder, keep: true, in: {a: n%d.sum, b: n%d.sum}}\n", i, max(i-1, 0), i/2)
		fmt.Fprintf(&splits, "  n%d: {split: {n%d: 1, n%d: 1}}\n", i, 2*i+1, 2*i+2)
	}
	for i := range 20 {
		fmt.Fprintf(&firsts, "  s%d: {split: {a%d: 1, b%d: 1}}\n", i, i, i)
		for _, n := range []string{"a", "b"} {
			fmt.Fprintf(&firsts, "  %s%d: {plugin: text, call: pair, keep: true, in: {a: a, b: a}}\n", n, i)
		}
	}
	for i := range 800 {
		fmt.Fprintf(&firsts, "  f%d: {plugin: text, call: upper, keep: true, in: {text: {first: [", i)
		for k := range 20 {
			fmt.Fprintf(&firsts, "a%d.text, b%d.text, ", (k+i)%20, k)
		}
		firsts.WriteString("]}}}\n")
	}
	for i := range 60 {
		fmt.Fprintf(&whens, "  n%d: {plugin: text, call: upper, keep: true, in: {text: a}, when: \"%sa != ''\"}\n", i, strings.Repeat("a == 'b' || ", 22))
		fmt.Fprintf(&loops, "  n%d: {plugin: text, call: upper, keep: true, in: {text: a}, when: \"%strue%s\"}\n", i,
			strings.Repeat("j.all(x, ", 25), strings.Repeat(")", 25))
	}
	fmt.Fprintf(&withs, "  n: {plugin: ocr, call: prepare_detect, keep: true, in: {image: j}, with: {mean: [%s1]}}\n", strings.Repeat("1,", 190_000))
	out["keys"], out["references"], out["whens"], out["loops"], out["with"], out["dims"], out["splits"], out["firsts"] = keys.String(), refs.String(),
		whens.String(), loops.String(), withs.String(), dims.String(), splits.String(), firsts.String()
	return out
}

// TestHostileDocumentsAreBounded runs every hostile document; with TANDEM_COST set it prints what each costs.
func TestHostileDocumentsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds of work")
	}
	for name, src := range hostile() {
		if len(src) > graph.MaxDocumentBytes {
			t.Fatalf("%s has %d bytes: it shows nothing", name, len(src))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := graph.Check([]byte(src), newWorld(t))
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		if allocated > 256 {
			t.Errorf("%s: %d MiB allocated, want at most 256", name, allocated)
		}
		if os.Getenv("TANDEM_COST") != "" {
			t.Logf("%-12s %8d bytes %6d MiB allocated %8.0f ms  %.100v", name, len(src), allocated, took.Seconds()*1e3, err)
		}
	}
}
