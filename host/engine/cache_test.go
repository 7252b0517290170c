package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/system"
	"github.com/tandem-serve/tandem/host/value"
)

// counted replaces a function of the world by one that takes a second, counts its runs, and answers with fail's error.
func counted(w *world, name string, fail func(s string) error) *atomic.Int64 {
	runs := &atomic.Int64{}
	f := w.functions[name]
	was := f.run
	f.run = func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
		runs.Add(1)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := fail(string(c.Inputs[0].Data)); err != nil {
			return nil, err
		}
		return was(ctx, c)
	}
	w.functions[name] = f
	return runs
}

func never(string) error { return nil }

func cachedUpper(keys string) string {
	return "graph: g\ninputs: {s: text}\noutputs: {s: up.s}\nnodes:\n  up: {plugin: p, call: upper, in: {s: s}, cache: " + keys + "}\n"
}

// asTenant runs a request with one text for a tenant.
func asTenant(t *testing.T, e *engine.Engine, rel *engine.Release, who tenant.ID, s string) (string, error) {
	t.Helper()
	req := in1(s)
	req.Trace = true
	res, err := e.Run(system.As(t.Context(), who, tenant.RoleCaller), rel, req)
	if err != nil {
		return "", err
	}
	return string(res.Outputs["s"].Data), nil
}

func TestCacheAnswersEqualInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		runs := counted(w, "upper", never)
		e := engine.New(engine.Config{})
		rel := w.build(t, cachedUpper("true"))
		for i, step := range []struct {
			who  tenant.ID
			in   string
			runs int64
		}{
			{"a", "x", 1}, {"a", "x", 1}, {"a", "y", 2}, {"a", "x", 2}, {"b", "x", 3}, {"b", "x", 3}, {"a", "", 4}, {"a", "", 4},
		} {
			if _, err := asTenant(t, e, rel, step.who, step.in); err != nil {
				t.Fatal(err)
			}
			if got := runs.Load(); got != step.runs {
				t.Fatalf("step %d: %d runs, want %d", i, got, step.runs)
			}
		}
		if s := e.Stats(); s.CacheEntries != 4 || s.CacheBytes <= 0 {
			t.Errorf("got %+v, want 4 entries", s)
		}
	})
}

func TestCacheForgetsAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		runs := counted(w, "upper", never)
		e := engine.New(engine.Config{})
		rel := w.build(t, cachedUpper("{ttl: 10s}"))
		for _, want := range []int64{1, 1, 2} {
			if _, err := asTenant(t, e, rel, "a", "x"); err != nil {
				t.Fatal(err)
			}
			if got := runs.Load(); got != want {
				t.Fatalf("%d runs, want %d", got, want)
			}
			time.Sleep(6 * time.Second)
		}
	})
}

func TestEqualRequestsAtOnceRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		runs := counted(w, "upper", never)
		e := engine.New(engine.Config{})
		rel := w.build(t, cachedUpper("true"))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if got, err := asTenant(t, e, rel, "a", "x"); got != "X" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		wg.Wait()
		if got := runs.Load(); got != 1 {
			t.Errorf("%d runs, want 1", got)
		}
	})
}

func TestCacheKeepsNoErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		broken := atomic.Bool{}
		broken.Store(true)
		runs := counted(w, "upper", func(string) error {
			if broken.Load() {
				return guestError("upper", "not today")
			}
			return nil
		})
		e := engine.New(engine.Config{})
		rel := w.build(t, cachedUpper("true"))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := asTenant(t, e, rel, "a", "x"); err == nil {
					t.Error("no error")
				}
			})
		}
		wg.Wait()
		if got := runs.Load(); got != 3 {
			t.Errorf("%d runs, want 3: an error is nobody's but who ran into it", got)
		}
		broken.Store(false)
		if got, err := asTenant(t, e, rel, "a", "x"); got != "X" || err != nil {
			t.Errorf("got %q, %v after the failure", got, err)
		}
		if n := e.Stats().CacheEntries; n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
	})
}

// TestWaitersOutliveTheOneThatRuns: the request that runs goes away; of those that wait for its answer one runs it again.
func TestWaitersOutliveTheOneThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		runs := counted(w, "upper", never)
		e := engine.New(engine.Config{})
		rel := w.build(t, cachedUpper("true"))
		ctx, cancel := context.WithCancel(system.As(t.Context(), "a", tenant.RoleCaller))
		var wg sync.WaitGroup
		wg.Go(func() {
			var e2 *engine.Error
			if _, err := e.Run(ctx, rel, in1("x")); !errors.As(err, &e2) || e2.Reason != engine.ReasonCanceled {
				t.Errorf("got %v, want canceled", err)
			}
		})
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				if got, err := asTenant(t, e, rel, "a", "x"); got != "X" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if got := runs.Load(); got != 2 {
			t.Errorf("%d runs, want 2", got)
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	w := texts()
	e := engine.New(engine.Config{CacheBytes: 40_000, CacheTenantBytes: 30_000, CacheEntries: 1000})
	rel := w.build(t, cachedUpper("true"))
	fill := func(who tenant.ID, n int) {
		for i := range n {
			if _, err := asTenant(t, e, rel, who, fmt.Sprintf("%s %d", who, i)); err != nil {
				t.Fatal(err)
			}
			if s := e.Stats(); s.CacheBytes > 40_000 {
				t.Fatalf("%d bytes are kept", s.CacheBytes)
			}
		}
	}
	fill("small", 4)
	kept := e.Stats().CacheBytes
	fill("large", 200)
	s := e.Stats()
	if s.CacheEvicted == 0 || s.CacheBytes > 30_000+kept {
		t.Errorf("got %+v, want evictions and at most 30000 bytes of the large tenant", s)
	}
	runs := countedFrom(w)
	fill("small", 4)
	if n := runs.Load(); n != 0 {
		t.Errorf("%d answers of the small tenant made room for the large one", n)
	}
}

// countedFrom counts the runs of "upper" from now on.
func countedFrom(w *world) *atomic.Int64 {
	runs := &atomic.Int64{}
	f := w.functions["upper"]
	was := f.run
	f.run = func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
		runs.Add(1)
		return was(ctx, c)
	}
	w.functions["upper"] = f
	return runs
}

func TestNodeBoundsItsCache(t *testing.T) {
	w := texts()
	e := engine.New(engine.Config{})
	rel := w.build(t, cachedUpper("{max_bytes: 2500}"))
	for i := range 10 {
		if _, err := asTenant(t, e, rel, "a", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.CacheBytes > 2500 || s.CacheEntries == 0 {
		t.Errorf("got %+v, want some entries in at most 2500 bytes", s)
	}
}

// TestCachedModelOwnsItsAnswer: what is kept is not the runner's memory, and nothing stays lent.
func TestCachedModelOwnsItsAnswer(t *testing.T) {
	w := texts()
	w.models["double"] = double()
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {y: {from: once.y}}
nodes:
  once: {model: double, in: {x: x}, cache: true}
`)
	e := engine.New(engine.Config{})
	for i := range 3 {
		in := map[string]value.Value{"x": floats([]int64{1, 2}, 1, 2)}
		res, err := e.Run(t.Context(), rel, engine.Request{Inputs: in, Trace: true})
		if err != nil {
			t.Fatal(err)
		}
		clear(in["x"].Data) // the caller's memory is its own again
		if got, want := res.Outputs["y"].Data, floats(nil, 2, 4).Data; string(got) != string(want) {
			t.Fatalf("request %d: got % x, want % x", i, got, want)
		}
		if got, want := res.Trace.Nodes[0].Cached, min(i, 1); got != want {
			t.Errorf("request %d: trace says %d cached, want %d", i, got, want)
		}
	}
	if n := len(w.models["double"].Runs()); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	if n := w.models["double"].Lent(); n != 0 {
		t.Errorf("%d outputs were never given back", n)
	}
}
