package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// TestUnknownSizesDoNotAddUp passes a text of 1 MB through ten plugins whose outputs may have any size, some with several
// inputs: what is expected of the request grows with what it holds at once, not with every step.
func TestUnknownSizesDoNotAddUp(t *testing.T) {
	const size = 1 << 20
	w := texts()
	w.functions["pick"] = function{
		in: []abi.Port{textPort("a"), textPort("b")}, out: []abi.Port{textPort("s")},
		run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) { return c.Inputs[:1], nil },
	}
	doc := "graph: g\ninputs: {s: text}\noutputs: {s: {from: n9.s}}\nnodes:\n  n0: {plugin: p, call: echo, in: {s: s}}\n"
	for i := 1; i < 10; i++ {
		doc += strings.NewReplacer("I", string(rune('0'+i)), "J", string(rune('0'+i-1))).Replace("  nI: {plugin: p, call: pick, in: {a: nJ.s, b: s}}\n")
	}
	rel := w.build(t, doc)
	in := map[string]value.Value{"s": value.Text(strings.Repeat("x", size))}
	// The input, the outputs of two nodes, and the copy of what one reads.
	enough := engine.New(engine.Config{MemoryBytes: 6 * size})
	res, err := enough.Run(t.Context(), rel, engine.Request{Inputs: in})
	if err != nil {
		t.Fatal(err)
	}
	res.Release()
	few := engine.New(engine.Config{MemoryBytes: 2 * size})
	if _, err := few.Run(t.Context(), rel, engine.Request{Inputs: in}); err == nil || !strings.Contains(err.Error(), "expected to hold") {
		t.Errorf("got %v, want a refusal", err)
	}
}
