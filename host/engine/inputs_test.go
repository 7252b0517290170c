package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// TestInputsAreFreeAfterTheRelease: nothing reads a request's inputs when its result has been released, neither the shadow of a graph in
// it nor the cache, unless the result says that a shadow of its own may.
func TestInputsAreFreeAfterTheRelease(t *testing.T) {
	const inner = `
graph: inner
inputs: {s: image}
outputs: {s: up.s, same: s}
nodes:
  up:    {plugin: p, call: name, in: {s: s}, cache: true}
  trial: {plugin: p, call: name, in: {s: s}, shadow: true}
  note:  {plugin: p, call: note, in: {s: trial.s}}
`
	const outer = `
graph: outer
inputs: {s: image}
outputs: {s: inside.s, same: inside.same, own: s}
nodes:
  inside: {graph: inner, in: {s: s}}
`
	w, rec := texts(), &recorder{}
	var runs atomic.Int64
	w.functions["name"] = function{
		in: []abi.Port{{Name: "s", Kind: "image"}}, out: []abi.Port{textPort("s")},
		run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
			runs.Add(1)
			return []value.Value{value.Text(string(c.Inputs[0].Data) + " " + c.Inputs[0].Media)}, nil
		},
	}
	e := engine.New(engine.Config{Records: rec})
	w.graphs["inner"] = w.build(t, inner)
	rel := w.build(t, outer)
	call := func(rel *engine.Release, data, media []byte) *engine.Result {
		res, err := e.Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"s": value.Image(data, value.StringOf(media))}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	data, media := []byte("data"), []byte("image/png")
	res := call(rel, data, media)
	if res.Shadowed {
		t.Error("the shadow of a graph in it is taken for its own")
	}
	if got := string(res.Outputs["s"].Data); got != "data image/png" {
		t.Errorf("got %q", got)
	}
	res.Release()
	copy(data, "othe")
	copy(media, "other/png")
	before := runs.Load()
	call(rel, []byte("data"), []byte("image/png")).Release()
	if now := runs.Load(); now > before+1 {
		t.Errorf("the cache does not know what it has: %d runs, want that of the shadow at most", now-before)
	}
	if own := call(w.graphs["inner"], []byte("more"), []byte("image/png")); !own.Shadowed {
		t.Error("the result does not say that a shadow may read the inputs")
	}
	e.Close(t.Context())
	var docs []string
	for _, r := range rec.rs {
		docs = append(docs, string(r.Doc))
	}
	if got := strings.Join(docs, " "); len(docs) == 0 || strings.Contains(got, "othe") {
		t.Errorf("no shadow ran, or one read what was written over the inputs: %s", got)
	}
}
