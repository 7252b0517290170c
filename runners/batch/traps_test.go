package batch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// Batchers of other servers fell into eighteen traps. A test or script against each says "Trap N:" and what it is.
//
// Trap 15: a cache that answers by a short hash gives one caller what is another's. A Batcher has no cache: equal requests are
// all run.
func TestEveryTrapHasATest(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]bool{}
	mark := regexp.MustCompile(`(?m)^\s*(?:#|//) Trap (\d+):`)
	for _, path := range append(scripts, tests...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mark.FindAllStringSubmatch(string(text), -1) {
			n, _ := strconv.Atoi(m[1])
			found[n] = true
		}
	}
	for n := 1; n <= 18; n++ {
		if !found[n] {
			t.Errorf("trap %d has no test", n)
		}
	}
}

// Trap 6: who waits for its turn blocks nobody: a request of another shape, a caller that leaves and Close all get through
// while nothing may run, and nothing starts just because a time is over.
func TestWaitingForASlotBlocksNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := &valve{}
		b := batch.New(fake.New(slowly(wide())), batch.Config{Slots: gate})
		gate.wake = b.Wake
		_, first := ask(t.Context(), b, 1)
		ctx, cancel := context.WithCancel(t.Context())
		_, leaves := ask(ctx, b, 1)
		time.Sleep(10 * time.Minute)
		cancel()
		if err := <-leaves; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		if s := b.Stats(); s.Runs != 0 || s.Waiting != 1 {
			t.Errorf("got %+v, want one that waits and no run", s)
		}
		closed := make(chan error, 1)
		go func() { closed <- b.Close() }()
		synctest.Wait()
		gate.open()
		if err := errors.Join(<-first, <-closed); err != nil {
			t.Error(err)
		}
		if n := gate.taken.Load(); n != 0 {
			t.Errorf("%d slots were not given back", n)
		}
	})
}

// valve is Slots that has none until it is opened.
type valve struct {
	isOpen atomic.Bool
	taken  atomic.Int64
	wake   func()
}

func (v *valve) Take() bool {
	if !v.isOpen.Load() {
		return false
	}
	v.taken.Add(1)
	return true
}

func (v *valve) Give() { v.taken.Add(-1) }

func (v *valve) open() {
	v.isOpen.Store(true)
	v.wake()
}

// Trap 10: batches do not mix versions of a model: each has a Batcher of its own, and one that is being closed for a new one
// runs what it took on.
func TestVersionsDoNotMix(t *testing.T) {
	t.Parallel()
	version := func(by float32) fake.Script {
		s := slowly(wide())
		s.Compute = func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			values := runnertest.Floats(in[0])
			for i := range values {
				values[i] = by
			}
			return []runners.Tensor{runnertest.FP32(in[0].Shape, values...)}, nil
		}
		return s
	}
	synctest.Test(t, func(t *testing.T) {
		one, two := batch.New(fake.New(version(1)), batch.Config{}), batch.New(fake.New(version(2)), batch.Config{})
		type reply struct {
			want float32
			err  error
			out  []runners.Tensor
		}
		replies := make(chan reply)
		const each = 5
		for i := range 2 * each {
			b, want := one, float32(1)
			if i%2 == 1 {
				b, want = two, 2
			}
			go func() {
				out := make([]runners.Tensor, 1)
				err := b.Run(t.Context(), []runners.Tensor{runnertest.FP32([]int64{1, 1}, 0)}, out)
				replies <- reply{want, err, out}
			}()
		}
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- one.Close() }()
		for range 2 * each {
			r := <-replies
			if r.err != nil {
				t.Error(r.err)
			} else if got := runnertest.Floats(r.out[0])[0]; got != r.want {
				t.Errorf("got version %v, want %v", got, r.want)
			}
			r.out[0].Release()
		}
		if err := errors.Join(<-closed, two.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Trap 12: a model that panics fails the requests in that run, alone or together, and no others wait for ever.
func TestModelThatPanics(t *testing.T) {
	t.Parallel()
	s := slowly(wide())
	s.Compute = func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
		for _, v := range runnertest.Floats(in[0]) {
			if v < 0 {
				panic("a negative number")
			}
		}
		return []runners.Tensor{runnertest.FP32(in[0].Shape, runnertest.Floats(in[0])...)}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(panics{fake.New(s)}, batch.Config{})
		var in, out [][]runners.Tensor
		for _, v := range []float32{-1, 1, -2, 3, -4, 5} {
			in = append(in, []runners.Tensor{runnertest.FP32([]int64{1, 1}, v)})
			out = append(out, make([]runners.Tensor, 1))
		}
		for i, err := range together(t, b, in, out) {
			bad := runnertest.Floats(in[i][0])[0] < 0
			if bad != (err != nil) || bad && (!errors.Is(err, runners.ErrRun) || !strings.Contains(err.Error(), "a negative number")) {
				t.Errorf("request %d: %v", i, err)
			}
			out[i][0].Release()
		}
		if got := b.Stats(); got.Running != 0 || got.Waiting != 0 {
			t.Errorf("left over: %+v", got)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// panics is a runner whose Close does not wait for runs that panicked, which a fake one cannot count.
type panics struct{ runners.Runner }

func (panics) Close() error { return nil }

// Trap 14: no request gets a goroutine of the Batcher's own: however many wait, no more run at once than may.
func TestManyWaitFewRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := fake.New(slowly(wide()))
		b := batch.New(inner, batch.Config{MaxRows: 1, Concurrency: 3, MaxQueueRows: 500})
		var ends []<-chan error
		for range 200 {
			_, done := ask(t.Context(), b, 1)
			ends = append(ends, done)
		}
		for _, done := range ends {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got := inner.MostAtOnce(); got != 3 {
			t.Errorf("%d runs at once, want 3", got)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Trap 17: a request that fails is told once and why, however often its batch was run again; runs that failed are counted as
// what they are.
func TestFailuresAreCountedOnce(t *testing.T) {
	t.Parallel()
	s := slowly(wide())
	s.Compute = func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
		for _, v := range runnertest.Floats(in[0]) {
			if v < 0 {
				return nil, fmt.Errorf("%w: number %v", runners.ErrRun, v)
			}
		}
		return []runners.Tensor{runnertest.FP32(in[0].Shape, runnertest.Floats(in[0])...)}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		told := 0
		b := batch.New(fake.New(s), batch.Config{OnBatch: func(done batch.Batch) {
			if done.Err != nil && done.Requests == 1 {
				told++
			}
		}})
		var in, out [][]runners.Tensor
		for _, v := range []float32{1, -2, 3, -4, 5} {
			in = append(in, []runners.Tensor{runnertest.FP32([]int64{1, 1}, v)})
			out = append(out, make([]runners.Tensor, 1))
		}
		var failed []string
		for i, err := range together(t, b, in, out) {
			if err != nil {
				failed = append(failed, err.Error())
			}
			out[i][0].Release()
		}
		want := []string{"model run failed: number -2", "model run failed: number -4"}
		if diff := cmp.Diff(want, failed); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
		got := b.Stats()
		// All four, then each half of two, then the two bad ones by themselves.
		if told != 2 || got.Requests != 5 || got.Failed != 5 || got.Runs != 8 {
			t.Errorf("told %d, %+v, want 2 told, 5 requests, 5 of 8 runs failed", told, got)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
