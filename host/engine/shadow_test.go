package engine_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/system"
	"github.com/tandem-serve/tandem/host/value"
)

// meter keeps what becomes of shadows, in order.
type meter struct {
	mu      sync.Mutex
	shadows []string
	nodes   []string
}

func (m *meter) Node(_, node, outcome string, _ time.Duration, _ int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = append(m.nodes, node+" "+outcome)
}

func (m *meter) Run(tenant.ID, string, int, string, time.Duration) {}

func (m *meter) Cache(string, string, string) {}

func (m *meter) Shadow(_, outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shadows = append(m.shadows, outcome)
}

func (m *meter) outcomes() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.shadows, " ")
}

const shadowed = `
graph: g
inputs: {s: text}
outputs: {s: main.s}
nodes:
  main:  {plugin: p, call: upper, in: {s: s}}
  trial: {plugin: p, call: echo, in: {s: s}, shadow: true}
  both:  {plugin: p, call: join, in: {a: main.s, b: trial.s}}
  note:  {plugin: p, call: note, in: {s: both.s}}
`

// slowly makes a function take d of its time, or end with its context.
func slowly(w *world, name string, d time.Duration) {
	f := w.functions[name]
	was := f.run
	f.run = func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
		select {
		case <-time.After(d):
			return was(ctx, c)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	w.functions[name] = f
}

func TestShadowRunsAfterTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, rec, m := texts(), &recorder{}, &meter{}
		slowly(w, "echo", 5*time.Second)
		e := engine.New(engine.Config{Records: rec, Meter: m})
		var held atomic.Int64
		req := in1("x")
		req.Retain = func() func() { held.Add(1); return func() { held.Add(-1) } }
		began := time.Now()
		res, err := e.Run(t.Context(), w.build(t, shadowed), req)
		if err != nil || string(res.Outputs["s"].Data) != "X" {
			t.Fatalf("got %v, %v", res, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the answer waited %v", took)
		}
		if held.Load() != 1 || e.Stats().Shadows != 1 {
			t.Errorf("the release is held %d times, %d shadows run; want 1 and 1", held.Load(), e.Stats().Shadows)
		}
		res.Release() // before the shadow reads what plugins gave
		e.Close(t.Context())
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("Close waited %v, want the shadow's 5s", took)
		}
		if len(rec.rs) != 1 || string(rec.rs[0].Doc) != `{"s":"X+x"}` || rec.rs[0].Node != "note" {
			t.Errorf("got records %+v, want one of X+x", rec.rs)
		}
		if held.Load() != 0 || m.outcomes() != "done" {
			t.Errorf("held %d, outcomes %q", held.Load(), m.outcomes())
		}
	})
}

func TestShadowThatFailsIsNobodysFailure(t *testing.T) {
	w, rec, m := texts(), &recorder{}, &meter{}
	e := engine.New(engine.Config{Records: rec, Meter: m})
	res, err := e.Run(t.Context(), w.build(t, `
graph: g
inputs: {s: text}
outputs: {s: main.s}
nodes:
  main: {plugin: p, call: upper, in: {s: s}}
  bad:  {plugin: p, call: fail, in: {s: s}, shadow: true}
  lost: {plugin: p, call: note, in: {s: bad.s}}
  dead: {plugin: p, call: panic, in: {s: s}, shadow: true}
  kept: {plugin: p, call: note, in: {s: main.s}, shadow: true}
`), in1("x"))
	if err != nil || string(res.Outputs["s"].Data) != "X" {
		t.Fatalf("got %v, %v", res, err)
	}
	e.Close(t.Context())
	if len(rec.rs) != 1 || rec.rs[0].Node != "kept" {
		t.Errorf("got records %+v, want that of the branch that went well", rec.rs)
	}
	if m.outcomes() != "failed" {
		t.Errorf("outcomes %q, want failed", m.outcomes())
	}
}

func TestNoShadowOfAFailedRequest(t *testing.T) {
	w, rec, m := texts(), &recorder{}, &meter{}
	e := engine.New(engine.Config{Records: rec, Meter: m})
	_, err := e.Run(t.Context(), w.build(t, `
graph: g
inputs: {s: text}
outputs: {s: main.s}
nodes:
  main: {plugin: p, call: fail, in: {s: s}}
  note: {plugin: p, call: note, in: {s: s}, shadow: true}
`), in1("x"))
	e.Close(t.Context())
	if err == nil || len(rec.rs) != 0 || m.outcomes() != "" {
		t.Errorf("got %v, records %+v, outcomes %q", err, rec.rs, m.outcomes())
	}
}

// TestShadowGoesWithWhatItReads: outputs that nobody asked for take the shadows with them that read what only they need.
func TestShadowGoesWithWhatItReads(t *testing.T) {
	w, m := texts(), &meter{}
	e := engine.New(engine.Config{Meter: m})
	req := in1("x")
	req.Outputs = []string{"s"}
	if _, err := e.Run(t.Context(), w.build(t, `
graph: g
inputs: {s: text}
outputs: {s: main.s, t: other.s}
nodes:
  main:  {plugin: p, call: upper, in: {s: s}}
  other: {plugin: p, call: echo, in: {s: s}}
  pre:   {plugin: p, call: echo, in: {s: s}}
  gone:  {plugin: p, call: join, in: {a: other.s, b: pre.s}, shadow: true}
  stays: {plugin: p, call: upper, in: {s: main.s}, shadow: true}
`), req); err != nil {
		t.Fatal(err)
	}
	e.Close(t.Context())
	if diff := cmp.Diff([]string{"main ok", "stays ok"}, m.nodes); diff != "" {
		t.Errorf("nodes that ran (-want +got):\n%s", diff)
	}
}

func TestShadowsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := texts(), &meter{}
		slowly(w, "echo", time.Hour)
		e := engine.New(engine.Config{Records: &recorder{}, Meter: m, ShadowTasks: 4, ShadowTimeout: time.Minute})
		rel := w.build(t, shadowed)
		for range 10 {
			if _, err := e.Run(t.Context(), rel, in1("x")); err != nil {
				t.Fatal(err)
			}
		}
		if n := e.Stats().Shadows; n != 2 {
			t.Errorf("%d shadows of one tenant run, want half of 4", n)
		}
		time.Sleep(2 * time.Minute)
		if n := e.Stats().Shadows; n != 0 {
			t.Errorf("%d shadows outlive their budget", n)
		}
		if got := m.outcomes(); got != strings.Repeat("dropped ", 8)+"cut cut" {
			t.Errorf("outcomes %q", got)
		}
	})
}

func TestCloseCutsShadows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := texts(), &meter{}
		slowly(w, "echo", time.Hour)
		e := engine.New(engine.Config{Records: &recorder{}, Meter: m, ShadowTimeout: time.Hour})
		rel := w.build(t, shadowed)
		if _, err := e.Run(t.Context(), rel, in1("x")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		e.Close(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close took %v, want 1s", took)
		}
		if _, err := e.Run(t.Context(), rel, in1("x")); err != nil {
			t.Errorf("a request after Close: %v, want its answer without a shadow", err)
		}
		if got := m.outcomes(); got != "cut dropped" {
			t.Errorf("outcomes %q", got)
		}
	})
}

// TestEndShadowsOfATenant ends one tenant's shadows, and waits until what they recorded is kept, so that it can be removed.
func TestEndShadowsOfATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := texts(), &meter{}
		slowly(w, "echo", time.Minute)
		e := engine.New(engine.Config{Records: &recorder{}, Meter: m, ShadowTimeout: time.Hour, ShadowTasks: 8})
		rel := w.build(t, shadowed)
		for _, id := range []tenant.ID{"acme", "acme", "other"} {
			if _, err := e.Run(system.As(t.Context(), id, tenant.RoleCaller), rel, in1("x")); err != nil {
				t.Fatal(err)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.EndShadows(gone, "nobody"); err != nil {
			t.Errorf("without shadows: %v", err)
		}
		began := time.Now()
		if err := e.EndShadows(t.Context(), "acme"); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 || e.Stats().Shadows != 1 || m.outcomes() != "cut cut" {
			t.Errorf("after %v %d shadows run, outcomes %q; want the other tenant's", took, e.Stats().Shadows, m.outcomes())
		}
		e.Close(t.Context())
		if m.outcomes() != "cut cut done" {
			t.Errorf("outcomes %q", m.outcomes())
		}
	})
}

// TestShadowReadsWhatARunnerLent: the memory of models that the shadow reads stays until it has ended, and not longer.
func TestShadowReadsWhatARunnerLent(t *testing.T) {
	w, m := texts(), &meter{}
	w.models["double"], w.models["again"] = double(), double()
	e := engine.New(engine.Config{Meter: m})
	const inner = `
graph: inner
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {y: once.y}
nodes:
  once:  {model: double, in: {x: x}}
  trial: {model: again, in: {x: once.y}, shadow: true}
  more:  {model: again, in: {x: x}, shadow: true}
`
	in := engine.Request{Inputs: map[string]value.Value{"x": floats([]int64{1, 2}, 1, 2)}}
	w.graphs["inner"] = w.build(t, inner)
	outer := w.build(t, `
graph: outer
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {y: inside.y}
nodes:
  before: {model: double, in: {x: x}}
  inside: {graph: inner, in: {x: before.y}}
`)
	for _, rel := range []*engine.Release{w.graphs["inner"], outer} {
		res, err := e.Run(t.Context(), rel, in)
		if err != nil {
			t.Fatal(err)
		}
		res.Release()
	}
	e.Close(t.Context())
	if got := m.outcomes(); got != "done done" {
		t.Errorf("outcomes %q", got)
	}
	if n := len(w.models["again"].Runs()); n != 4 {
		t.Errorf("%d runs in the shadow, want 4", n)
	}
	if n := w.models["double"].Lent() + w.models["again"].Lent(); n != 0 {
		t.Errorf("%d outputs were never given back", n)
	}
}
