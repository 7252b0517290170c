package batch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/plan"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// Who waits for its tenant's turn leaves at once when its context ends, runs nothing and holds nobody up.
func TestLeavingWhileOtherTenantsHaveTheCores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &plan.Gate{}
		gate.Set(plan.Machine{Cores: 1})
		port := []runners.Port{{Name: "x", DType: runners.FP32, Dims: []runners.Dim{{Size: -1}}}}
		const takes = 100 * time.Millisecond
		open := func(tenant string) (*batch.Batcher, *fake.Runner, *plan.Seat) {
			r := fake.New(fake.Script{Signature: runners.Signature{Inputs: port}, Takes: func([]runners.Tensor) time.Duration { return takes }})
			var b *batch.Batcher
			seat := gate.Seat(plan.CPU, tenant, func() { b.Wake() })
			b = batch.New(r, batch.Config{Slots: seat})
			measured := plan.Measured{Threads: []plan.ThreadsTook{{Threads: 1, Took: takes}}}
			seat.Keep(&plan.Share{Threads: 1, Model: plan.Model{Measured: measured}})
			return b, r, seat
		}
		call := func(ctx context.Context, b *batch.Batcher) error {
			return b.Run(ctx, []runners.Tensor{runnertest.FP32([]int64{1}, 1)}, nil)
		}
		var all sync.WaitGroup
		var seats []*plan.Seat
		var others []*batch.Batcher
		for _, tenant := range []string{"one", "two"} { // a core and one to follow
			b, _, seat := open(tenant)
			others, seats = append(others, b), append(seats, seat)
			all.Go(func() {
				for range 5 {
					if err := call(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			})
		}
		b, ran, seat := open("three")
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), takes/2)
		defer cancel()
		if err := call(ctx, b); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != takes/2 {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if n := len(ran.Runs()); n != 0 {
			t.Errorf("what nobody waits for ran %d times", n)
		}
		all.Wait()
		if took := time.Since(began); took != 5*takes {
			t.Errorf("the others took %v, want %v", took, 5*takes)
		}
		if err := call(t.Context(), b); err != nil {
			t.Error(err)
		}
		for i, b := range append(others, b) {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			append(seats, seat)[i].Close()
		}
		if n := gate.Running(plan.CPU); n != 0 {
			t.Errorf("%d runs were not given back", n)
		}
	})
}
