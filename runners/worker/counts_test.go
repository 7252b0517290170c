//go:build cgo && (linux || darwin)

package worker_test

import (
	"context"
	"sync"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// copies returns what the host copies during f.
func copies(p *worker.Pool, f func()) uint64 {
	before := p.Stats().BytesCopied
	f()
	return p.Stats().BytesCopied - before
}

func weighted(tb testing.TB, p *worker.Pool, n int) *worker.Model {
	tb.Helper()
	return load(tb, p, onnxtest.Weighted(make([]float32, n), ""))
}

// TestCopiesAreTold accounts for a request that runs alone: what the host copied for it is its own, and a request whose tensors
// lie in shared memory already copied nothing.
func TestCopiesAreTold(t *testing.T) {
	const n = 1 << 10
	b := batch.New(weighted(t, newPool(t), n), batch.Config{})
	x := runnertest.FP32([]int64{1, n}, make([]float32, n)...)
	for _, want := range []uint64{4 * n, 0} {
		var a batch.Account
		out := make([]runners.Tensor, 1)
		if err := b.Run(batch.WithAccount(t.Context(), &a), []runners.Tensor{x}, out); err != nil {
			t.Fatal(err)
		}
		if a.BytesCopied != want {
			t.Errorf("%d bytes are accounted for, want %d", a.BytesCopied, want)
		}
		defer out[0].Release()
		x = out[0] // lies in shared memory
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// One copy of what a lone request brings, none of what lies in shared memory, none of the outputs.
func TestCopies(t *testing.T) {
	p := newPool(t)
	const n = 1 << 18
	m := weighted(t, p, n)
	x := runnertest.FP32([]int64{1, n}, make([]float32, n)...)
	out := make([]runners.Tensor, 1)
	run := func(in runners.Tensor) {
		if err := m.Run(t.Context(), []runners.Tensor{in}, out); err != nil {
			t.Error(err)
		}
	}
	if got := copies(p, func() { run(x) }); got != 4*n {
		t.Errorf("from memory of the caller's: %d bytes copied, want %d", got, 4*n)
	}
	first := out[0]
	out[0] = runners.Tensor{}
	if got := copies(p, func() { run(first) }); got != 0 {
		t.Errorf("from another run's output: %d bytes copied, want none", got)
	}
	out[0].Release()
	first.Release()
	lent, err := m.Alloc(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	clear(lent.Data)
	if got := copies(p, func() { run(runners.Tensor{DType: runners.FP32, Shape: []int64{1, n}, Data: lent.Data}) }); got != 0 {
		t.Errorf("from memory of the runner's: %d bytes copied, want none", got)
	}
	out[0].Release()
	lent.Release()
}

// A batch is gathered into shared memory: the runner copies nothing more.
func TestBatchesAreGatheredInPlace(t *testing.T) {
	p := newPool(t)
	const n = 1 << 12
	b := batch.New(weighted(t, p, n), batch.Config{})
	var callers sync.WaitGroup
	got := copies(p, func() {
		for range 8 {
			callers.Go(func() {
				for range 20 {
					out := make([]runners.Tensor, 1)
					x := runnertest.FP32([]int64{1, n}, make([]float32, n)...)
					if err := b.Run(t.Context(), []runners.Tensor{x}, out); err != nil {
						t.Error(err)
					}
					out[0].Release()
				}
			})
		}
		callers.Wait()
	})
	s := b.Stats()
	if alone := s.Requests*4*n - s.BytesCopied; got != alone {
		t.Errorf("the runner copied %d bytes, want %d: those of requests that ran alone; the batcher copied %d", got, alone, s.BytesCopied)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// What a run allocates does not depend on its tensors' size.
func TestAllocations(t *testing.T) {
	p := newPool(t)
	allocated := func(n int) float64 {
		m := weighted(t, p, n)
		in := []runners.Tensor{runnertest.FP32([]int64{1, int64(n)}, make([]float32, n)...)}
		out := make([]runners.Tensor, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		return testing.AllocsPerRun(100, func() {
			if err := m.Run(ctx, in, out); err != nil {
				t.Error(err)
			}
			out[0].Release()
		})
	}
	small, large := allocated(4), allocated(1<<18)
	t.Logf("%v allocations", small)
	if small != large || small > 12 {
		t.Errorf("%v allocations for 16 bytes, %v for a MiB; want equally many, 12 at most", small, large)
	}
}
