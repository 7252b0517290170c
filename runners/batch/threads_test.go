//go:build cgo && linux

package batch_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/plan"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// Ten busy models that keep to the plan have a thread each more than one, and not one for each core: a run holds a thread.
// It runs by itself: what other tests do has threads too.
func TestThreadsOfTenModels(t *testing.T) {
	const models, cores = 10, 8
	gate := &plan.Gate{}
	gate.Set(plan.Machine{Cores: cores})
	var all []*batch.Batcher
	var planned []plan.Model
	var seats []*plan.Seat
	add := func() {
		n := len(all)
		seat := gate.Seat(plan.CPU, "ada", func() { all[n].Wake() })
		all = append(all, load(t, onnxtest.Slow(), batch.Config{Slots: seat, Concurrency: cores, MaxQueueRows: 1000}))
		seats = append(seats, seat)
		planned = append(planned, plan.Model{Key: fmt.Sprint(n), Order: uint64(n), Declared: plan.Declared{Threads: 1}})
		made := plan.Make(plan.Machine{Cores: cores}, planned)
		for i, s := range made.Shares {
			seats[i].Keep(&s)
		}
	}
	add()
	one := threadsUnder(t, all, 20)
	for range models - 1 {
		add()
	}
	ten := threadsUnder(t, all, 9)
	made := plan.Make(plan.Machine{Cores: cores}, planned)
	t.Logf("%d threads with one model, %d with ten; the plan allows %d runs", one, ten, made.Runs())
	// Without the gate it would be 72 more.
	if more := ten - one; more > models-1+4 {
		t.Errorf("nine more models brought %d more threads", more)
	}
	for i, b := range all {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		seats[i].Close()
	}
	if n := gate.Running(plan.CPU); n != 0 {
		t.Errorf("%d runs were not given back", n)
	}
}

// threadsUnder calls the models with so many callers each and returns the most threads of this process.
func threadsUnder(t *testing.T, all []*batch.Batcher, callers int) int {
	t.Helper()
	const side = 64
	unit := make([]float32, side*side)
	for i := range side {
		unit[i*(side+1)] = 1
	}
	in := []runners.Tensor{runnertest.INT64([]int64{}, 1500), runnertest.FP32([]int64{side, side}, unit...)}
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	var calls sync.WaitGroup
	for _, b := range all {
		for range callers {
			calls.Go(func() {
				for ctx.Err() == nil {
					out := make([]runners.Tensor, 1)
					if err := b.Run(t.Context(), in, out); err != nil {
						t.Error(err)
						return
					}
					out[0].Release()
				}
			})
		}
	}
	most := 0
	for ctx.Err() == nil {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Error(err)
			break
		}
		most = max(most, len(tasks))
	}
	calls.Wait()
	return most
}
