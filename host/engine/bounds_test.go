package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
)

// widening is a model whose answer is ten times as wide as its input.
func widening() *fake.Runner {
	b := runners.Dim{Size: -1, Name: "batch"}
	return fake.New(fake.Script{
		Signature: runners.Signature{
			Inputs:  []runners.Port{{Name: "x", DType: runners.FP32, Dims: []runners.Dim{b, {Size: 10}}}},
			Outputs: []runners.Port{{Name: "y", DType: runners.FP32, Dims: []runners.Dim{b, {Size: 100}}}},
		},
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			rows := in[0].Shape[0]
			return []runners.Tensor{{DType: runners.FP32, Shape: []int64{rows, 100}, Data: make([]byte, rows*400)}}, nil
		},
	})
}

const widen = `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, 10]}}
outputs: {y: wide.y}
nodes:
  wide: {model: wide, in: {x: x}}
`

func rows(n int64) engine.Request {
	return engine.Request{Inputs: map[string]value.Value{"x": value.Tensor(abi.FP32, []int64{n, 10}, make([]byte, 40*n))}}
}

// TestRequestsAreAdmittedByBytes: a row takes 40 bytes of input, the same for its copy to the model, and 400 of output.
func TestRequestsAreAdmittedByBytes(t *testing.T) {
	w := texts()
	w.models["wide"] = widening()
	rel := w.build(t, widen)
	e := engine.New(engine.Config{MemoryBytes: 48_000})
	res, err := e.Run(t.Context(), rel, rows(100))
	if err != nil {
		t.Fatalf("100 rows need 48000 bytes: %v", err)
	}
	res.Release()
	_, err = e.Run(t.Context(), rel, rows(101))
	var refused *engine.Error
	if !errors.As(err, &refused) || refused.Reason != engine.ReasonLimit || refused.RetryAfter != 0 {
		t.Fatalf("got %v, want a refusal for good", err)
	}
	for _, part := range []string{"47.3 KiB at its peak", "46.9 KiB together", "--request-memory"} {
		if !strings.Contains(refused.Text, part) {
			t.Errorf("got %q, want %q in it", refused.Text, part)
		}
	}
	if n := e.Stats().MemoryBytes; n != 0 {
		t.Errorf("%d bytes are in use by nobody", n)
	}
}

func TestAFullServerSaysWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		slowly(w, "echo", time.Second)
		rel := w.build(t, "graph: g\ninputs: {s: text}\noutputs: {s: e.s}\nnodes:\n  e: {plugin: p, call: echo, in: {s: s}}\n")
		e := engine.New(engine.Config{MemoryBytes: 30_000})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				res, err := e.Run(t.Context(), rel, in1(strings.Repeat("x", 4000)))
				if err != nil {
					t.Error(err)
					return
				}
				res.Release()
			})
		}
		synctest.Wait()
		_, err := e.Run(t.Context(), rel, in1(strings.Repeat("x", 4000)))
		var refused *engine.Error
		if !errors.As(err, &refused) || refused.Reason != engine.ReasonLimit || refused.RetryAfter <= 0 || !strings.Contains(refused.Text, "in use") {
			t.Errorf("got %v, want a refusal with a hint", err)
		}
		wg.Wait()
		if _, err := e.Run(t.Context(), rel, in1(strings.Repeat("x", 4000))); err != nil {
			t.Errorf("after the others: %v", err)
		}
	})
}

// TestFirstErrorSaysWhomItEnded: the error names the node that failed and those that ran beside it.
func TestFirstErrorSaysWhomItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		slowly(w, "fail", time.Second)
		_, err := engine.New(engine.Config{}).Run(t.Context(), w.build(t, `
graph: g
inputs: {s: text}
outputs: {a: bad.s, b: hang.s, c: too.s, d: done.s, e: later.s}
nodes:
  bad:   {plugin: p, call: fail, in: {s: s}}
  hang:  {plugin: p, call: hang, in: {s: s}}
  too:   {plugin: p, call: hang, in: {s: s}}
  done:  {plugin: p, call: echo, in: {s: s}}
  later: {plugin: p, call: echo, in: {s: hang.s}}
`), in1("x"))
		var e *engine.Error
		if !errors.As(err, &e) || e.Node != "bad" {
			t.Fatalf("got %v, want the failure of bad", err)
		}
		if diff := cmp.Diff([]string{"hang", "too"}, e.Canceled); diff != "" {
			t.Errorf("canceled (-want +got):\n%s", diff)
		}
		if want := "; ended with it: hang, too"; !strings.HasSuffix(e.Error(), want) {
			t.Errorf("got %q, want %q at its end", e.Error(), want)
		}
	})
}

// TestNodesLeaveTimeForWhatFollows: once it is known that the second node takes a second at least, the first is stopped a
// second before the deadline, and says so.
func TestNodesLeaveTimeForWhatFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		slowly(w, "echo", time.Second)
		rel := w.build(t, "graph: g\ninputs: {s: text}\noutputs: {s: b.s}\nnodes:\n  a: {plugin: p, call: upper, in: {s: s}}\n  b: {plugin: p, call: echo, in: {s: a.s}}\n")
		e := engine.New(engine.Config{})
		for range 20 {
			if _, err := e.Run(t.Context(), rel, in1("x")); err != nil {
				t.Fatal(err)
			}
		}
		slowly(w, "upper", time.Hour)
		for _, want := range []time.Duration{4 * time.Second, 4500 * time.Millisecond, 4750 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			began := time.Now()
			_, err := e.Run(ctx, rel, in1("x"))
			cancel()
			var failed *engine.Error
			if !errors.As(err, &failed) || failed.Reason != engine.ReasonDeadline || failed.Node != "a" || !strings.Contains(failed.Text, "the rest is for what follows") {
				t.Fatalf("got %v, want the budget of node a", err)
			}
			// What was reserved may have been too much: each time it is half as much.
			if took := time.Since(began); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
		}
	})
}

func TestTraceShowsBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		rel := w.build(t, "graph: g\ninputs: {s: text}\noutputs: {a: a.s, b: b.s}\nnodes:\n  a: {plugin: p, call: upper, in: {s: s}, timeout: 2s}\n  b: {plugin: p, call: echo, in: {s: s}}\n")
		req := in1("x")
		req.Trace = true
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		res, err := engine.New(engine.Config{}).Run(ctx, rel, req)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]time.Duration{}
		for _, n := range res.Trace.Nodes {
			got[n.Node] = n.Budget
		}
		if diff := cmp.Diff(map[string]time.Duration{"a": 2 * time.Second, "b": 5 * time.Second}, got); diff != "" {
			t.Errorf("budgets (-want +got):\n%s", diff)
		}
	})
}

// TestGoroutinesStayFew: under load, and after requests that were cancelled half-way, no goroutine is left, and at no time
// are there more than the nodes that can run.
func TestGoroutinesStayFew(t *testing.T) {
	w := texts()
	rel := w.build(t, `
graph: g
inputs: {s: text}
outputs: {n: count.n, s: hang.s}
nodes:
  words: {plugin: p, call: words, in: {s: s}}
  up:    {plugin: p, call: upper, each: words.words, in: {s: words.words}}
  count: {plugin: p, call: count, in: {list: up.s}}
  hang:  {plugin: p, call: hang, in: {s: s}}
  note:  {plugin: p, call: echo, in: {s: s}, shadow: true}
`)
	const callers, items = 8, 4
	e := engine.New(engine.Config{MaxItems: items, ShadowTasks: callers})
	before, most := runtime.NumGoroutine(), 0
	var mu sync.Mutex
	f := w.functions["upper"]
	w.functions["upper"] = function{in: f.in, out: f.out, run: func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
		mu.Lock()
		most = max(most, runtime.NumGoroutine()-before)
		mu.Unlock()
		return f.run(ctx, c)
	}}
	words := strings.Repeat("word ", 50)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
				_, err := e.Run(ctx, rel, in1(words))
				cancel()
				if err == nil {
					t.Error("a request that hangs ended well")
				}
				req := in1(words)
				req.Outputs = []string{"n"}
				if _, err := e.Run(t.Context(), rel, req); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e.Close(t.Context())
	// Each caller: itself, the node beside, the items, a shadow with its timer.
	if limit := callers * (items + 5); most > limit {
		t.Errorf("%d goroutines at once, want at most %d", most, limit)
	}
	waitForGoroutines(t, before)
}

// waitForGoroutines waits until no more than want goroutines are there, and
// says which ones there are if that does not come true. Ten seconds are far
// more than a goroutine takes to end that has nothing left to do, and than a
// cleanup of the collector runs, which counts as one.
func waitForGoroutines(t *testing.T, want int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > want; <-tick.C {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines are left of %d:\n%s", runtime.NumGoroutine(), want, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestEventsTellWhatHappens(t *testing.T) {
	var mu sync.Mutex
	var got []string
	req := in1("x")
	req.Events = func(e engine.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Node == "" {
			got = append(got, fmt.Sprintf("output %s=%s", e.Output, e.Value.Data))
			return
		}
		state := map[engine.State]string{engine.StateStarted: "started", engine.StateFinished: "finished", engine.StateSkipped: "skipped", engine.StateFailed: "failed"}[e.State]
		if (e.Trace == nil) != (e.State == engine.StateStarted) {
			t.Errorf("%s %s with trace %v", e.Node, state, e.Trace)
		}
		got = append(got, e.Node+" "+state)
	}
	_, err := engine.New(engine.Config{}).Run(t.Context(), texts().build(t, `
graph: g
inputs: {s: text}
outputs: {s: s, up: up.s, either: {first: [no.s, last.s]}}
nodes:
  up:   {plugin: p, call: upper, in: {s: s}}
  no:   {plugin: p, call: echo, in: {s: up.s}, when: "up.s == 'Y'"}
  last: {plugin: p, call: join, in: {a: up.s, b: {first: [no.s, s]}}}
`), req)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"output s=x", "up started", "up finished", "output up=X", "no started", "no skipped", "last started", "last finished", "output either=X+x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestFirstOfRunnersMemory: an output that takes the first of several is copied out of a runner's memory too.
func TestFirstOfRunnersMemory(t *testing.T) {
	w := texts()
	w.models["double"] = double()
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}, go: json}
outputs: {y: {first: [once.y, x]}}
nodes:
  once: {model: double, in: {x: x}, when: go}
`)
	res, err := engine.New(engine.Config{}).Run(t.Context(), rel, engine.Request{Trace: true, Inputs: map[string]value.Value{
		"x": floats([]int64{1, 1}, 2), "go": value.JSON([]byte("true")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(floats([]int64{1, 1}, 4), res.Outputs["y"]); diff != "" {
		t.Errorf("y (-want +got):\n%s", diff)
	}
	if got := res.Trace.Nodes[0].Copied; got != 0 {
		t.Errorf("%d bytes were copied to the answer, want none", got)
	}
	res.Release()
	if n := w.models["double"].Lent(); n != 0 {
		t.Errorf("%d outputs were never given back", n)
	}
}
