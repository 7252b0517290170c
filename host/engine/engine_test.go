package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
)

// in1 is a request with one text input.
func in1(s string) engine.Request {
	return engine.Request{ID: "r", Inputs: map[string]value.Value{"s": value.Text(s)}}
}

// wantText runs doc on one text and compares its text outputs.
func wantText(t *testing.T, w *world, doc, s string, want map[string]string) {
	t.Helper()
	res, err := engine.New(engine.Config{}).Run(t.Context(), w.build(t, doc), in1(s))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, v := range res.Outputs {
		got[name] = string(v.Data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("outputs (-want +got):\n%s", diff)
	}
}

const diamond = `
graph: diamond
inputs: {s: text}
outputs: {s: {from: join.s}}
nodes:
  a:    {plugin: p, call: upper, in: {s: s}}
  b:    {plugin: p, call: echo, in: {s: s}}
  join: {plugin: p, call: join, in: {a: a.s, b: b.s}}
`

func TestNodesRunByData(t *testing.T) {
	wantText(t, texts(), diamond, "hi", map[string]string{"s": "HI+hi"})
}

func TestIndependentNodesRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		slow := w.functions["echo"]
		slow.run = func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
			time.Sleep(time.Second)
			return []value.Value{c.Inputs[0]}, nil
		}
		w.functions["echo"], w.functions["upper"] = slow, slow
		begin := time.Now()
		wantText(t, w, diamond, "hi", map[string]string{"s": "hi+hi"})
		if took := time.Since(begin); took != time.Second {
			t.Fatalf("took %v, want 1s: two nodes of 1s each run side by side", took)
		}
	})
}

func TestOptionalPortGetsNothing(t *testing.T) {
	wantText(t, texts(), `
graph: g
inputs: {s: text}
outputs: {s: {from: join.s}}
nodes:
  join: {plugin: p, call: join, in: {a: s}}
`, "x", map[string]string{"s": "x+"})
}

func TestInputPassesThrough(t *testing.T) {
	wantText(t, texts(), `
graph: g
inputs: {s: text}
outputs: {t: {from: s}, u: {from: up.s}}
nodes:
  up: {plugin: p, call: upper, in: {s: s}}
`, "x", map[string]string{"t": "x", "u": "X"})
}

const mapped = `
graph: mapped
inputs: {s: text}
outputs: {n: {from: count.n}}
nodes:
  words: {plugin: p, call: words, in: {s: s}}
  up:    {plugin: p, call: upper, each: words.words, in: {s: words.words}}
  count: {plugin: p, call: count, in: {list: up.s}}
`

func TestMappedKeepsOrder(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"one two three four five", "5 ONE,TWO,THREE,FOUR,FIVE"},
		{"one", "1 ONE"},
		{"", "0 "},
	} {
		wantText(t, texts(), mapped, tc.in, map[string]string{"n": tc.want})
	}
}

func TestMappedBoundsItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		slow := w.functions["upper"]
		slow.run = func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
			time.Sleep(time.Second)
			return []value.Value{c.Inputs[0]}, nil
		}
		w.functions["upper"] = slow
		rel := w.build(t, mapped)
		begin := time.Now()
		if _, err := engine.New(engine.Config{MaxItems: 2}).Run(t.Context(), rel, in1("a b c d e")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Fatalf("took %v, want 3s: five items of 1s, two at a time", took)
		}
	})
}

// TestMapsInMapsDoNotMultiply maps a graph over lists in which a plugin is mapped over items.
func TestMapsInMapsDoNotMultiply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := texts()
		var now, most atomic.Int64
		slow := w.functions["upper"]
		slow.run = func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			time.Sleep(time.Second)
			return []value.Value{c.Inputs[0]}, nil
		}
		w.functions["upper"] = slow
		w.graphs["inner"] = w.build(t, "graph: inner\ninputs: {s: list of text}\noutputs: {s: up.s}\nnodes: {up: {plugin: p, call: upper, each: s, in: {s: s}}}\n")
		rel := w.build(t, "graph: outer\ninputs: {s: list of list of text}\noutputs: {s: sub.s}\nnodes: {sub: {graph: inner, each: s, in: {s: s}}}\n")
		lists := make([]value.Value, 9)
		for i := range lists {
			lists[i] = textList("a", "b", "c", "d")
		}
		begin := time.Now()
		req := engine.Request{Inputs: map[string]value.Value{"s": value.List(lists)}}
		if _, err := engine.New(engine.Config{MaxItems: 3}).Run(t.Context(), rel, req); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); most.Load() != 3 || took > 13*time.Second {
			t.Fatalf("at most %d at once in %v, want 3 at once: 36 items of 1s", most.Load(), took)
		}
	})
}

func TestModelReadsAndFrees(t *testing.T) {
	w := texts()
	w.models["double"] = double()
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {y: {from: again.y}}
nodes:
  once:  {model: double, in: {x: x}}
  again: {model: double, in: {x: once.y}}
`)
	in := map[string]value.Value{"x": floats([]int64{2, 2}, 1, 2, 3, 4)}
	res, err := engine.New(engine.Config{}).Run(t.Context(), rel, engine.Request{Inputs: in, Trace: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(floats([]int64{2, 2}, 4, 8, 12, 16), res.Outputs["y"]); diff != "" {
		t.Fatalf("y (-want +got):\n%s", diff)
	}
	res.Release()
	if n := w.models["double"].Lent(); n != 0 {
		t.Fatalf("%d outputs were never given back", n)
	}
	if copied := res.Trace.Nodes[0].Copied; copied != 0 {
		t.Fatalf("%d bytes were copied between two models, want 0", copied)
	}
	if copied := res.Trace.Nodes[1].Copied; copied != 0 {
		t.Fatalf("%d bytes were copied to the answer, want none", copied)
	}
}

func TestFailureFreesAndCancels(t *testing.T) {
	w := texts()
	w.models["double"] = double()
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}, s: text}
outputs: {y: {from: once.y}, bad: {from: bad.s}, never: {from: hang.s}}
nodes:
  once: {model: double, in: {x: x}}
  bad:  {plugin: p, call: fail, in: {s: s}}
  hang: {plugin: p, call: hang, in: {s: s}}
`)
	in := map[string]value.Value{"x": floats([]int64{1, 1}, 1), "s": value.Text("x")}
	_, err := engine.New(engine.Config{}).Run(t.Context(), rel, engine.Request{Inputs: in})
	var e *engine.Error
	if !errors.As(err, &e) || e.Reason != engine.ReasonPlugin || e.Graph != "g" || e.Node != "bad" {
		t.Fatalf("got %v, want the plugin error of node bad", err)
	}
	if n := w.models["double"].Lent(); n != 0 {
		t.Fatalf("%d outputs were never given back", n)
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rel := texts().build(t, `
graph: g
inputs: {s: text}
outputs: {s: {from: hang.s}}
nodes:
  hang: {plugin: p, call: hang, in: {s: s}}
`)
		begin := time.Now()
		_, err := engine.New(engine.Config{Timeout: 3 * time.Second}).Run(t.Context(), rel, in1("x"))
		var e *engine.Error
		if !errors.As(err, &e) || e.Reason != engine.ReasonDeadline || e.Node != "hang" {
			t.Fatalf("got %v, want a deadline at node hang", err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Fatalf("took %v, want 3s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = engine.New(engine.Config{}).Run(ctx, rel, in1("x"))
		if !errors.As(err, &e) || e.Reason != engine.ReasonCanceled {
			t.Fatalf("got %v, want a cancelled request", err)
		}
	})
}

func TestPanicCostsTheRequest(t *testing.T) {
	w := texts()
	eng := engine.New(engine.Config{})
	for _, doc := range []string{strings.ReplaceAll(diamond, "upper", "panic"), strings.ReplaceAll(mapped, "upper", "panic")} {
		_, err := eng.Run(t.Context(), w.build(t, doc), in1("a b"))
		var e *engine.Error
		if !errors.As(err, &e) || e.Reason != engine.ReasonInternal || strings.Contains(e.Error(), "boom") {
			t.Fatalf("got %v, want an internal error that does not tell what happened", err)
		}
	}
}

func TestInputsAreCheckedAllAtOnce(t *testing.T) {
	w := texts()
	w.models["double"] = double()
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, 2]}, s: text}
outputs: {y: {from: m.y}, s: {from: up.s}}
nodes:
  m:  {model: double, in: {x: x}}
  up: {plugin: p, call: upper, in: {s: s}}
`)
	_, err := engine.New(engine.Config{}).Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{
		"x": floats([]int64{1, 3}, 1, 2, 3), "zzz": value.Text("?"),
	}})
	var es engine.Errors
	if !errors.As(err, &es) {
		t.Fatalf("got %v, want Errors", err)
	}
	var got []string
	for _, e := range es {
		got = append(got, e.Port+": "+e.Expected+" / "+e.Found)
	}
	want := []string{"x: tensor FP32 [batch,2] / tensor FP32 [1,3]", "s: text / nothing", "zzz:  / zzz"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("faults (-want +got):\n%s", diff)
	}
}

func TestUnwantedOutputsArePruned(t *testing.T) {
	w := texts()
	rel := w.build(t, `
graph: g
inputs: {s: text}
outputs: {good: {from: up.s}, bad: {from: fail.s}}
nodes:
  up:   {plugin: p, call: upper, in: {s: s}}
  fail: {plugin: p, call: fail, in: {s: s}}
`)
	req := in1("x")
	req.Outputs, req.Trace = []string{"good"}, true
	res, err := engine.New(engine.Config{}).Run(t.Context(), rel, req)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Outputs) != 1 || len(res.Trace.Nodes) != 1 || res.Trace.Nodes[0].Target != "plugin p@1 upper" {
		t.Fatalf("got %d outputs and trace %+v, want the one node that was asked for", len(res.Outputs), res.Trace.Nodes)
	}
	req.Outputs = []string{"nope"}
	if _, err := engine.New(engine.Config{}).Run(t.Context(), rel, req); err == nil {
		t.Fatal("an output that the graph does not have was not refused")
	}
}

func TestRecordsAreKeptBeforeTheAnswer(t *testing.T) {
	w := texts()
	rel := w.build(t, `
graph: g
inputs: {s: text}
outputs: {s: {from: note.s}}
nodes:
  note: {plugin: p, call: note, in: {s: s}}
`)
	log := &recorder{}
	if _, err := engine.New(engine.Config{Records: log}).Run(t.Context(), rel, in1("x")); err != nil {
		t.Fatal(err)
	}
	want := []engine.Record{{Stream: "notes", Graph: "g", Version: 1, Node: "note", RequestID: "r", Doc: []byte(`{"s":"x"}`)}}
	if diff := cmp.Diff(want, log.rs); diff != "" {
		t.Fatalf("records (-want +got):\n%s", diff)
	}
	log.err = errors.New("disk on fire")
	_, err := engine.New(engine.Config{Records: log}).Run(t.Context(), rel, in1("x"))
	if err == nil || strings.Contains(err.Error(), "disk on fire") {
		t.Fatalf("got %v, want a failure that keeps its cause to itself", err)
	}
}

func TestWrongValueBetweenNodesNamesThePort(t *testing.T) {
	w := texts()
	w.models["double"] = double()
	bad := w.functions["echo"]
	bad.out = []abi.Port{{Name: "x", Kind: "tensor", DType: "FP32", Shape: []abi.Dim{{Any: true}, {Any: true}}}}
	bad.run = func(context.Context, sandbox.Call) ([]value.Value, error) {
		return []value.Value{floats([]int64{3}, 1, 2, 3)}, nil
	}
	w.functions["echo"] = bad
	rel := w.build(t, `
graph: g
inputs: {s: text}
outputs: {y: {from: m.y}}
nodes:
  make: {plugin: p, call: echo, in: {s: s}}
  m:    {model: double, in: {x: make.x}}
`)
	_, err := engine.New(engine.Config{}).Run(t.Context(), rel, in1("x"))
	var e *engine.Error
	if !errors.As(err, &e) || e.Reason != engine.ReasonType || e.Node != "m" || e.Port != "x" || e.Found != "tensor FP32 [3]" {
		t.Fatalf("got %#v, want a type error at m.x", err)
	}
}

func TestARefusedRunSaysWhenToTryAgain(t *testing.T) {
	w := texts()
	w.models["full"] = fake.New(fake.Script{
		Signature: double().Signature(),
		Compute: func(context.Context, []runners.Tensor) ([]runners.Tensor, error) {
			return nil, &batch.RefusedError{Reason: "the queue is full", RetryAfter: 3 * time.Second}
		},
	})
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {y: {from: m.y}}
nodes:
  m: {model: full, in: {x: x}}
`)
	_, err := engine.New(engine.Config{}).Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"x": floats([]int64{1, 1}, 1)}})
	var e *engine.Error
	if !errors.As(err, &e) || e.Reason != engine.ReasonLimit || e.RetryAfter != 3*time.Second || e.Node != "m" {
		t.Fatalf("got %#v, want a limit with a hint", err)
	}
}
