package fake_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	maker := func(s fake.Script) func(*testing.T) runners.Runner {
		return func(*testing.T) runners.Runner { return fake.New(s) }
	}
	runnertest.Test(t, runnertest.Makers{
		AddSub:   maker(fake.AddSub()),
		Echo:     func(_ *testing.T, d runners.DType) runners.Runner { return fake.New(fake.Echo(d)) },
		Slow:     maker(fake.Slow()),
		Document: maker(fake.Document()),
		Broken:   maker(fake.Broken()),
	})
}

func TestTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fake.Echo(runners.INT64)
		s.Takes = func(in []runners.Tensor) time.Duration { return time.Duration(in[0].Shape[0]) * time.Second }
		closed := 0
		s.Closed = func() { closed++ }
		r := fake.New(s)
		start := time.Now()
		in := []runners.Tensor{runnertest.INT64([]int64{2}, 1, 2)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			if err := r.Run(t.Context(), in, make([]runners.Tensor, 1)); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if err := r.Run(ctx, in, make([]runners.Tensor, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		var took []time.Duration
		for _, run := range r.Runs() {
			took = append(took, run.Ended.Sub(start))
		}
		if diff := cmp.Diff([]time.Duration{2 * time.Second, time.Second}, took); diff != "" {
			t.Errorf("runs took (-want +got):\n%s", diff)
		}
		if r.MostAtOnce() != 2 || closed != 1 {
			t.Errorf("got %d runs at once and %d closes, want 2 and 1", r.MostAtOnce(), closed)
		}
	})
}

func TestWrongScriptIsAnError(t *testing.T) {
	t.Parallel()
	s := fake.Echo(runners.FP32)
	s.Compute = nil
	r := fake.New(s)
	err := r.Run(t.Context(), []runners.Tensor{runnertest.FP32([]int64{1}, 1)}, make([]runners.Tensor, 1))
	if !errors.Is(err, runners.ErrRun) {
		t.Fatalf("got %v, want ErrRun", err)
	}
}
