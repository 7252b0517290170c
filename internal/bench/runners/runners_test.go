package runners

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/rig"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tiny loads the smallest model.
func tiny(t *testing.T) (*model, runners.Runner) {
	t.Helper()
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	all, err := models(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := openBare(t.Context(), root, 1)
	if err != nil {
		t.Fatal(err)
	}
	run, err := b.load(t.Context(), &all[0], setting{threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(); err != nil {
			t.Error(err)
		}
	})
	return &all[0], run
}

// TestNodeAllocations: what a request allocates does not grow with its tensors, and not much with its nodes.
func TestNodeAllocations(t *testing.T) {
	got := map[int]memory{}
	for _, nodes := range []int{1, 10} {
		p, err := compile(chain(nodes), nil)
		if err != nil {
			t.Fatal(err)
		}
		small, err := allocated(t.Context(), p, floats(3))
		if err != nil {
			t.Fatal(err)
		}
		large, err := allocated(t.Context(), p, floats(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		if more := large.bytes - small.bytes; more > 1<<10 {
			t.Errorf("%d nodes: a tensor of 4 MiB allocates %.0f bytes more than one of 12 bytes", nodes, more)
		}
		got[nodes] = small
	}
	if each := (got[10].count - got[1].count) / 9; each > mostAllocations {
		t.Errorf("a node allocates %.1f times, want %d at most", each, mostAllocations)
	}
}

// mostAllocations bounds what one more node of a graph allocates, its goroutine included; measured with room above.
const mostAllocations = 30

// TestEdgeCopies: what a plugin gives goes to a model that runs it alone without a copy; the answer is copied once, out of the
// model's memory.
func TestEdgeCopies(t *testing.T) {
	_, run := tiny(t)
	b := batch.New(keepOpen{run}, batch.Config{})
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	p, err := compile(`
graph: add
inputs:
  x: {type: tensor, dtype: FP32, shape: [n, 3]}
outputs:
  out: {from: add.sum}
nodes:
  a: {plugin: p, call: same, in: {x: x}}
  b: {plugin: p, call: same, in: {x: x}}
  add: {model: add, in: {a: a.x, b: b.x}}
`, b)
	if err != nil {
		t.Fatal(err)
	}
	x := value.Tensor(abi.FP32, []int64{1, 3}, make([]byte, 12))
	trace, err := p.call(t.Context(), map[string]value.Value{"x": x}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range trace.Nodes {
		if n.Copied != 0 {
			t.Errorf("node %s: %d bytes copied, want none", n.Node, n.Copied)
		}
	}
}

// TestBatchCopies: a batch of one is not copied. Eight callers of one row each make one run; their rows are copied into it once,
// and not out of it.
func TestBatchCopies(t *testing.T) {
	m, run := tiny(t)
	const callers = 8
	var mu sync.Mutex
	var runs []batch.Batch
	b := batch.New(keepOpen{run}, batch.Config{MaxRows: callers, MaxDelay: time.Hour, OnBatch: func(r batch.Batch) {
		mu.Lock()
		defer mu.Unlock()
		runs = append(runs, r)
	}})
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	p, err := compile(m.document(), b)
	if err != nil {
		t.Fatal(err)
	}
	whole := m.values(callers)
	alone, err := p.call(t.Context(), whole, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := alone.Nodes[0].Copied; got != 0 {
		t.Errorf("a request that fills a batch alone: %d bytes copied, want none", got)
	}
	var wg sync.WaitGroup
	var copied [callers]int64
	for i := range callers {
		wg.Go(func() {
			trace, err := p.call(t.Context(), m.values(1), true)
			if err != nil {
				t.Error(err)
				return
			}
			copied[i] = trace.Nodes[0].Copied
		})
	}
	wg.Wait()
	if len(runs) != 2 || runs[1].Rows != callers || runs[1].Requests != callers {
		t.Fatalf("got the runs %+v, want two, the second of %d rows of as many callers", runs, callers)
	}
	for i, got := range copied {
		if in := int64(m.bytes()); got != in {
			t.Errorf("caller %d: %d bytes copied, want its inputs' %d", i, got, in)
		}
	}
}

// TestAnswerAllocations: the answer of a model is not copied, so that what a request allocates does not grow with it.
func TestAnswerAllocations(t *testing.T) {
	m, run := tiny(t)
	b := batch.New(keepOpen{run}, batch.Config{MaxRows: 1 << 20})
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	p, err := compile(m.document(), b)
	if err != nil {
		t.Fatal(err)
	}
	used := func(rows int) memory {
		got, err := allocated(t.Context(), p, m.values(rows))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	small, large := used(1), used(1<<16)
	if more := large.bytes - small.bytes; more > 1<<10 {
		t.Errorf("an answer of 768 KiB allocates %.0f bytes more than one of 12 bytes", more)
	}
}

// TestNoop runs the part of the suite that needs no server.
func TestNoop(t *testing.T) {
	r := report.New(context.WithoutCancel(t.Context()), "runners")
	r.Quick = true
	if err := noop(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 4 {
		t.Errorf("got %d figures, want 4", len(r.Results))
	}
	for _, f := range r.Results {
		if f.Unit == "bytes" && (f.Met == nil || !*f.Met) {
			t.Errorf("%s: %v", f.Name, f.Value)
		}
	}
}

func TestCutLast(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]float64{`a{x="1 2"} 3`: 3, "b 1.5e+06": 1.5e6} {
		if _, got, ok := cutLast(line); !ok || got != want {
			t.Errorf("%q: got %v, %v, want %v", line, got, ok, want)
		}
	}
	for _, line := range []string{"# HELP a b", "", "word", "a b"} {
		if _, got, ok := cutLast(line); ok {
			t.Errorf("%q: got %v", line, got)
		}
	}
}
