package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/value"
)

// tally is a tenant's quota of bytes, as an engine's Config.Hold.
type tally struct {
	limit int64

	mu         sync.Mutex // guards the following
	held, most int64
}

func (a *tally) hold(_ context.Context, delta int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if delta > 0 && a.held+delta > a.limit {
		return &tenant.QuotaError{Quota: "bytes_in_flight", Limit: a.limit, Use: a.held, Need: delta}
	}
	a.held += delta
	a.most = max(a.most, a.held)
	return nil
}

func (a *tally) now() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

// tried answers with what a node made, and has others read that in the shadow, and what went before it, and make as much.
const tried = `
graph: g
inputs: {s: text}
outputs: {s: main.s}
nodes:
  first: {plugin: p, call: grow, in: {s: s}}
  main:  {plugin: p, call: grow, in: {s: first.s}}
  pause: {plugin: p, call: echo, in: {s: s}, shadow: true}
  trial: {plugin: p, call: grow, in: {s: first.s}, when: "pause.s == 'x'"}
  both:  {plugin: p, call: join, in: {a: main.s, b: trial.s}}
`

// TestShadowsAreCounted looks at what a request holds while its shadow runs, before and after the answer is sent: what the shadow reads
// and what it made count for the tenant and in the memory of all requests, as long as it reads it.
func TestShadowsAreCounted(t *testing.T) {
	const size = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		w, m, a := growing(size), &meter{}, &tally{limit: 16 * size}
		slowly(w, "echo", 2*time.Second)
		slowly(w, "join", 2*time.Second)
		e := engine.New(engine.Config{Meter: m, MemoryBytes: 16 * size, Hold: a.hold})
		res, err := e.Run(t.Context(), w.build(t, tried), in1("x"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := a.now(); got != 3*size {
			t.Errorf("%d bytes are held, want those of first, main, and the message", got)
		}
		res.Release()
		if got := a.now(); got != 2*size {
			t.Errorf("%d bytes are held when the answer was sent, want those of first and main", got)
		}
		if got := e.Stats().MemoryBytes; got < 2*size || got >= 3*size {
			t.Errorf("%d bytes are in use when the answer was sent, want twice %d and a little", got, size)
		}
		time.Sleep(3 * time.Second)
		if got := a.now(); got != 2*size {
			t.Errorf("%d bytes are held in the end, want those of main and trial", got)
		}
		e.Close(t.Context())
		if a.now() != 0 || e.Stats().MemoryBytes != 0 || m.outcomes() != "done" {
			t.Errorf("in the end %d bytes are held and %d in use, outcomes %q", a.now(), e.Stats().MemoryBytes, m.outcomes())
		}
	})
}

// TestShadowEndsBeforeTheAnswerIsSent keeps an answer that a shadow reads too: it counts until it was sent.
func TestShadowEndsBeforeTheAnswerIsSent(t *testing.T) {
	const size = 1 << 20
	w, a := growing(size), &tally{limit: 16 * size}
	e := engine.New(engine.Config{MemoryBytes: 16 * size, Hold: a.hold})
	res, err := e.Run(t.Context(), w.build(t, tried), in1("x"))
	if err != nil {
		t.Fatal(err)
	}
	e.Close(t.Context())
	if got := a.now(); got != 2*size {
		t.Errorf("%d bytes are held, want those of the answer and its message", got)
	}
	res.Release()
	res.Release()
	if a.now() != 0 || e.Stats().MemoryBytes != 0 {
		t.Errorf("in the end %d bytes are held, and %d in use", a.now(), e.Stats().MemoryBytes)
	}
}

// TestShadowBeyondALimitEnds has a shadow make more and more, until the tenant's quota or the memory of all requests does not give it
// any more: that ends the node, as any failure in a shadow, and the answer is what it is.
func TestShadowBeyondALimitEnds(t *testing.T) {
	const size = 1 << 20
	const items = 24
	doc := `
graph: g
inputs: {s: text}
outputs: {s: main.s}
nodes:
  main:  {plugin: p, call: echo, in: {s: s}}
  words: {plugin: p, call: words, in: {s: s}, shadow: true}
  giant: {plugin: p, call: grow, each: words.words, in: {s: words.words}}
  after: {plugin: p, call: count, in: {list: giant.s}}
  other: {plugin: p, call: echo, in: {s: s}, shadow: true}
`
	for _, test := range []struct {
		name         string
		memory, held int64 // limits
		outcome      string
		node         string
	}{
		{"the tenant's quota", 1 << 40, 6 * size, "failed", "giant limit"},
		{"the memory of requests", 8 * size, 1 << 40, "failed", "giant limit"},
		{"neither", 1 << 40, 1 << 40, "done", "giant ok"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m, a := growing(size), &meter{}, &tally{limit: test.held}
				e := engine.New(engine.Config{Meter: m, MemoryBytes: test.memory, Hold: a.hold})
				used := mostUsed(w, e)
				rel := w.build(t, doc)
				for range 2 { // what the first has left behind is not in the way of the second
					text := strings.Repeat("x ", items)
					res, err := e.Run(t.Context(), rel, in1(text))
					if err != nil || string(res.Outputs["s"].Data) != text {
						t.Fatalf("got %v, %v", res, err)
					}
					res.Release()
					synctest.Wait()
					if a.now() != 0 || e.Stats().MemoryBytes != 0 {
						t.Errorf("in the end %d bytes are held, and %d in use", a.now(), e.Stats().MemoryBytes)
					}
				}
				if most := used(); a.most > test.held || most > test.memory/4*3 {
					t.Errorf("%d bytes were held and %d in use at most, want %d and three quarters of %d", a.most, most, test.held, test.memory)
				}
				nodes := strings.Join(m.nodes, ", ")
				if want := test.outcome + " " + test.outcome; m.outcomes() != want || !strings.Contains(nodes, test.node) || !strings.Contains(nodes, "other ok") {
					t.Errorf("outcomes %q, nodes %s; want %q and %q", m.outcomes(), nodes, want, test.node)
				}
			})
		})
	}
}

// mostUsed has the function grow look at the memory of requests, and returns what tells the most that it saw.
func mostUsed(w *world, e *engine.Engine) func() int64 {
	var mu sync.Mutex
	var most int64
	f := w.functions["grow"]
	was := f.run
	f.run = func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
		out, err := was(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		most = max(most, e.Stats().MemoryBytes)
		return out, err
	}
	w.functions["grow"] = f
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return most
	}
}

// TestShadowsOfModelsAreCounted has a model in the shadow.
func TestShadowsOfModelsAreCounted(t *testing.T) {
	w, m, a := texts(), &meter{}, &tally{limit: 100_000}
	w.models["wide"] = widening()
	e := engine.New(engine.Config{Meter: m, Hold: a.hold})
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, 10]}}
outputs: {x: {from: x}}
nodes:
  wide: {model: wide, in: {x: x}, shadow: true}
`)
	for _, n := range []int64{100, 1000} { // 40,000 and 400,000 bytes
		res, err := e.Run(t.Context(), rel, rows(n))
		if err != nil {
			t.Fatal(err)
		}
		res.Release()
	}
	e.Close(t.Context())
	if a.most > a.limit || a.now() != 0 {
		t.Errorf("%d bytes were held at most, and %d in the end", a.most, a.now())
	}
	if got := strings.Count(m.outcomes(), "failed"); got != 1 || w.models["wide"].Lent() != 0 {
		t.Errorf("outcomes %q, want one that failed; %d outputs were never given back", m.outcomes(), w.models["wide"].Lent())
	}
}

// mappedTrials returns a graph that maps a graph with a shadow over the words of s, all of which read big.
func mappedTrials(t *testing.T) *engine.Release {
	t.Helper()
	w := texts()
	w.graphs["inner"] = w.build(t, `
graph: inner
inputs: {s: text, big: text}
outputs: {s: main.s}
nodes:
  main:  {plugin: p, call: echo, in: {s: s}}
  trial: {plugin: p, call: join, in: {a: s, b: big}, shadow: true}
`)
	return w.build(t, `
graph: outer
inputs: {s: text, big: text}
outputs: {n: count.n}
nodes:
  words: {plugin: p, call: words, in: {s: s}}
  each:  {graph: inner, each: words.words, in: {s: words.words, big: big}}
  count: {plugin: p, call: count, in: {list: each.s}}
`)
}

// trials asks for n words and a text of size bytes.
func trials(n, size int) engine.Request {
	return engine.Request{Inputs: map[string]value.Value{
		"s": value.Text(strings.Repeat("x ", n)), "big": value.Text(strings.Repeat("y", size)),
	}}
}

// TestInputsOfInnerShadowsAreCounted maps a graph with a shadow over many items that read the same large text: each shadow needs a copy
// of it, which counts before it is made, and a shadow for which there is no room is dropped.
func TestInputsOfInnerShadowsAreCounted(t *testing.T) {
	const size, items, limit = 1 << 20, 16, 5 << 20
	m, a := &meter{}, &tally{limit: limit}
	e := engine.New(engine.Config{Meter: m, MemoryBytes: 1 << 40, Hold: a.hold, ShadowTasks: 2 * items})
	res, err := e.Run(t.Context(), mappedTrials(t), trials(items, size))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(res.Outputs["n"].Data); !strings.HasPrefix(got, fmt.Sprint(items)) {
		t.Errorf("got %s, want %d items", got, items)
	}
	if got := a.now(); got < 4*size || got > limit {
		t.Errorf("%d bytes are held, want four copies of %d and a little", got, size)
	}
	res.Release()
	e.Close(t.Context())
	want := map[string]int{"done": 4, "dropped": items - 4}
	got := map[string]int{}
	for o := range strings.FieldsSeq(m.outcomes()) {
		got[o]++
	}
	if diff := cmp.Diff(want, got); diff != "" || a.now() != 0 || e.Stats().MemoryBytes != 0 {
		t.Errorf("outcomes (-want +got):\n%s%d bytes are held in the end, and %d in use", diff, a.now(), e.Stats().MemoryBytes)
	}
}

// TestDroppedShadowsHoldNothing has no place for any shadow: what was kept for them is given back at once.
func TestDroppedShadowsHoldNothing(t *testing.T) {
	const size, items = 1 << 20, 3
	for name, test := range map[string]struct {
		rel     *engine.Release
		req     engine.Request
		held    int64 // until the answer is sent
		dropped int
	}{
		"its own":               {growing(size).build(t, tried), in1("x"), 3 * size, 1},
		"those of inner graphs": {mappedTrials(t), trials(items, size), 0, items},
	} {
		t.Run(name, func(t *testing.T) {
			m, a := &meter{}, &tally{limit: 16 * size}
			e := engine.New(engine.Config{Meter: m, MemoryBytes: 64 * size, Hold: a.hold})
			e.Close(t.Context())
			res, err := e.Run(t.Context(), test.rel, test.req)
			if err != nil {
				t.Fatal(err)
			}
			if got := a.now(); got > test.held {
				t.Errorf("%d bytes are held, want %d", got, test.held)
			}
			res.Release()
			if a.now() != 0 || e.Stats().MemoryBytes != 0 || strings.Count(m.outcomes(), "dropped") != test.dropped {
				t.Errorf("%d bytes are held and %d in use, outcomes %q", a.now(), e.Stats().MemoryBytes, m.outcomes())
			}
		})
	}
}

// TestGraphInAShadowHasNone: what a graph that runs in a shadow has in a shadow itself does not run, and nothing is copied for it.
func TestGraphInAShadowHasNone(t *testing.T) {
	const size = 1 << 20
	w, m, a := texts(), &meter{}, &tally{limit: size / 2}
	w.functions["fail"] = function{
		in: []abi.Port{textPort("s")}, out: []abi.Port{textPort("s")},
		run: func(context.Context, sandbox.Call) ([]value.Value, error) { return nil, errors.New("it ran") },
	}
	w.graphs["inner"] = w.build(t, `
graph: inner
inputs: {s: text}
outputs: {n: main.n}
nodes:
  words: {plugin: p, call: words, in: {s: s}}
  main:  {plugin: p, call: count, in: {list: words.words}}
  trial: {plugin: p, call: fail, in: {s: s}, shadow: true}
`)
	rel := w.build(t, `
graph: outer
inputs: {s: text}
outputs: {s: {from: s}}
nodes:
  inside: {graph: inner, in: {s: s}, shadow: true}
`)
	e := engine.New(engine.Config{Meter: m, Hold: a.hold})
	req := in1(strings.Repeat("x", size))
	req.Outputs = []string{}
	res, err := e.Run(t.Context(), rel, req)
	if err != nil {
		t.Fatal(err)
	}
	res.Release()
	e.Close(t.Context())
	if m.outcomes() != "done" || a.most != 0 {
		t.Errorf("outcomes %q, %d bytes were held", m.outcomes(), a.most)
	}
}
