// Package fake is a runners.Runner that does what a test tells it to: it computes in Go, takes as long as it is told on the
// clock of its goroutine (fake inside testing/synctest), fails when told, and remembers every run.
package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// Script is what a fake runner does. Its functions may be called from many goroutines at once.
type Script struct {
	Signature runners.Signature
	// Compute returns one tensor for each output, in memory of its own, which the runner takes over. ctx is the run's. Default: no outputs, which is an
	// error unless the signature has none.
	Compute func(ctx context.Context, in []runners.Tensor) ([]runners.Tensor, error)
	// Takes tells how long a run on in takes, before Compute is called. Default: no time.
	Takes func(in []runners.Tensor) time.Duration
	// Closed is called once, when the runner frees what it holds. Default: nothing.
	Closed func()
}

// Run is one run that a fake runner was asked for and that fit its signature.
type Run struct {
	// Shapes are those of the inputs.
	Shapes [][]int64
	Began  time.Time
	Ended  time.Time
	Err    error
}

var _ runners.Runner = (*Runner)(nil)

// Runner runs a Script.
type Runner struct {
	script  Script
	drained chan struct{} // closed when the last run after Close has ended

	mu      sync.Mutex // mu guards the following
	runs    []Run
	running int
	most    int
	lent    int
	closed  bool
}

// New returns a runner of the script.
func New(s Script) *Runner { return &Runner{script: s, drained: make(chan struct{})} }

// Signature returns the script's.
func (r *Runner) Signature() runners.Signature { return r.script.Signature }

// Run does what the script says.
func (r *Runner) Run(ctx context.Context, in, out []runners.Tensor) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("run fake: %w", err)
	}
	if err := r.script.Signature.CheckInputs(in); err != nil {
		return err
	}
	if err := r.script.Signature.CheckOutputs(out); err != nil {
		return err
	}
	at, err := r.begin(in)
	if err != nil {
		return err
	}
	err = r.do(ctx, in, out)
	r.end(at, err)
	return err
}

func (r *Runner) do(ctx context.Context, in, out []runners.Tensor) error {
	done := ctx.Done()
	if r.script.Takes != nil {
		timer := time.NewTimer(r.script.Takes(in))
		defer timer.Stop()
		select {
		case <-done:
			return fmt.Errorf("run fake: %w", ctx.Err())
		case <-timer.C:
		}
	}
	var got []runners.Tensor
	if r.script.Compute != nil {
		var err error
		if got, err = r.script.Compute(ctx, in); err != nil {
			return err
		}
	}
	if len(got) != len(out) {
		return fmt.Errorf("%w: the script gave %d outputs of %d", runners.ErrRun, len(got), len(out))
	}
	return r.deliver(got, out)
}

// deliver hands the outputs over, all or none.
func (r *Runner) deliver(got, out []runners.Tensor) error {
	own := make([]bool, len(out))
	for i := range out {
		own[i] = out[i].Data != nil
		if err := out[i].Deliver(r.lend(got[i])); err != nil {
			for j := range i {
				if !own[j] {
					out[j].Release()
				}
			}
			return fmt.Errorf("output %q: %w", r.script.Signature.Outputs[i].Name, err)
		}
	}
	return nil
}

// lend makes an output count as handed out until it is released, which spoils it, so that use after that shows.
func (r *Runner) lend(t runners.Tensor) runners.Tensor {
	r.mu.Lock()
	r.lent++
	r.mu.Unlock()
	return runners.Adopted(t.DType, t.Shape, t.Data, func() {
		for i := range t.Data {
			t.Data[i] = 0xfb
		}
		r.mu.Lock()
		r.lent--
		r.mu.Unlock()
	})
}

func (r *Runner) begin(in []runners.Tensor) (at int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, runners.ErrClosed
	}
	run := Run{Began: time.Now()}
	for i := range in {
		run.Shapes = append(run.Shapes, slices.Clone(in[i].Shape))
	}
	r.runs = append(r.runs, run)
	r.running++
	r.most = max(r.most, r.running)
	return len(r.runs) - 1, nil
}

func (r *Runner) end(at int, err error) {
	r.mu.Lock()
	r.runs[at].Ended, r.runs[at].Err = time.Now(), err
	r.running--
	last := r.closed && r.running == 0
	r.mu.Unlock()
	if last {
		r.free()
	}
}

func (r *Runner) free() {
	if r.script.Closed != nil {
		r.script.Closed()
	}
	close(r.drained)
}

// Close waits for running calls. It may be called more than once.
func (r *Runner) Close() error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	idle := first && r.running == 0
	r.mu.Unlock()
	if idle {
		r.free()
	}
	<-r.drained
	return nil
}

// Runs returns what the runner was asked for so far, in the order in which it began.
func (r *Runner) Runs() []Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.runs)
}

// MostAtOnce returns how many runs went on at the same time at most.
func (r *Runner) MostAtOnce() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// Lent returns how many outputs were handed out and not released yet.
func (r *Runner) Lent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lent
}
