//go:build cgo && (linux || darwin)

package worker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// slow runs the slow model for many steps, until ctx ends.
func slow(ctx context.Context, m *worker.Model) error {
	out := make([]runners.Tensor, 1)
	err := m.Run(ctx, []runners.Tensor{runnertest.INT64([]int64{}, math.MaxInt32), runnertest.FP32([]int64{1, 1}, 1)}, out)
	out[0].Release()
	return err
}

// add runs the add_sub model and checks the sum.
func add(ctx context.Context, m *worker.Model) error {
	out := make([]runners.Tensor, 2)
	if err := m.Run(ctx, []runners.Tensor{runnertest.FP32([]int64{1, 3}, 1, 2, 3), runnertest.FP32([]int64{1, 3}, 4, 5, 6)}, out); err != nil {
		return err
	}
	defer out[0].Release()
	defer out[1].Release()
	if got := runnertest.Floats(out[0]); len(got) != 3 || got[2] != 9 {
		return errors.New("the sum is wrong")
	}
	return nil
}

// killDuring kills the worker of m while a run of it goes on, and returns what the run got.
func killDuring(t *testing.T, m *worker.Model) error {
	t.Helper()
	ran := make(chan error, 1)
	go func() { ran <- slow(t.Context(), m) }()
	eventually(t, "the run begins", func() bool { return m.Running() > 0 })
	if err := syscall.Kill(m.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return <-ran
}

// A model that the processor stops costs its own run: another tenant's worker and the next run do not see it.
func TestModelThatCrashes(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("no other processor stops a division")
	}
	p := newPool(t)
	m, other := load(t, p, onnxtest.Quotient()), loadFor(t, p, worker.Key{Tenant: "bob"}, onnxtest.AddSub())
	bob := other.PID()
	divide := func(a, b int64) (int64, error) {
		out := make([]runners.Tensor, 1)
		if err := m.Run(t.Context(), []runners.Tensor{runnertest.INT64([]int64{1}, a), runnertest.INT64([]int64{1}, b)}, out); err != nil {
			return 0, err
		}
		defer out[0].Release()
		return int64(binary.LittleEndian.Uint64(out[0].Data)), nil
	}
	if y, err := divide(-7, -1); err != nil || y != 7 {
		t.Fatalf("got %d, %v", y, err)
	}
	if _, err := divide(math.MinInt64, -1); !errors.Is(err, runners.ErrCrashed) || !strings.Contains(err.Error(), "SIGFPE") {
		t.Errorf("got %v, want ErrCrashed and the signal", err)
	}
	if y, err := divide(-7, -1); err != nil || y != 7 {
		t.Errorf("the next run got %d, %v", y, err)
	}
	if err := add(t.Context(), other); err != nil || other.PID() != bob {
		t.Errorf("the other tenant: %v, worker %d, was %d", err, other.PID(), bob)
	}
	if n := p.Stats().Crashes; n != 1 {
		t.Errorf("%d crashes, want 1", n)
	}
}

func TestCrashCostsOnlyWhatRan(t *testing.T) {
	p := newPool(t)
	mine, other := load(t, p, onnxtest.Slow()), loadFor(t, p, worker.Key{Tenant: "bob"}, onnxtest.AddSub())
	beside := load(t, p, onnxtest.AddSub())
	stop := make(chan struct{})
	var callers sync.WaitGroup
	callers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := add(t.Context(), other); err != nil {
				t.Errorf("the other tenant: %v", err)
				return
			}
		}
	})
	bob := other.PID()
	err := killDuring(t, mine)
	if !errors.Is(err, runners.ErrCrashed) || !strings.Contains(err.Error(), "model slow@1") || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v, want ErrCrashed with the model's name and how the worker ended", err)
	}
	if err := add(t.Context(), beside); err != nil {
		t.Errorf("the next run of the same tenant: %v", err)
	}
	close(stop)
	callers.Wait()
	if other.PID() != bob {
		t.Error("the other tenant's worker was replaced")
	}
	if s := p.Stats(); s.Crashes != 1 || s.Restarts != 1 || s.Workers != 2 || s.Quarantined != 0 {
		t.Errorf("got %+v, want one crash, one restart, two workers", s)
	}
}

func TestQuarantine(t *testing.T) {
	p := newPool(t, func(c *worker.Config) { c.Backoff = time.Millisecond })
	bad, good := load(t, p, onnxtest.Slow()), load(t, p, onnxtest.AddSub())
	for i := range 3 {
		if err := killDuring(t, bad); !errors.Is(err, runners.ErrCrashed) {
			t.Fatalf("crash %d: got %v, want ErrCrashed", i, err)
		}
	}
	err := slow(t.Context(), bad)
	if !errors.Is(err, runners.ErrModel) || !strings.Contains(err.Error(), "model slow@1 is in quarantine") {
		t.Errorf("got %v, want the quarantine, with ErrModel", err)
	}
	if _, err := p.Load(t.Context(), ada, worker.LoadParams{Label: "slow@2", Model: onnxtest.Slow().Bytes()}); !errors.Is(err, runners.ErrModel) {
		t.Errorf("the same file under another name: got %v, want ErrModel", err)
	}
	if err := add(t.Context(), good); err != nil {
		t.Errorf("another model of the same tenant: %v", err)
	}
	if s := p.Stats(); s.Quarantined != 1 {
		t.Errorf("%d models in quarantine, want 1", s.Quarantined)
	}
}

// A model that wants more memory than its worker may have fails, or takes its worker with it; the host and others live.
func TestMemoryLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the limit")
	}
	p := newPool(t, func(c *worker.Config) { c.Memory = 512 << 20 })
	huge := load(t, p, onnxtest.Huge())
	other := loadFor(t, p, worker.Key{Tenant: "bob"}, onnxtest.AddSub())
	out := make([]runners.Tensor, 1)
	err := huge.Run(t.Context(), []runners.Tensor{runnertest.INT64([]int64{1}, 1<<30)}, out)
	if !errors.Is(err, runners.ErrRun) && !errors.Is(err, runners.ErrCrashed) {
		t.Errorf("a tensor of 4 GiB: got %v, want ErrRun or ErrCrashed", err)
	}
	t.Log(err)
	if err := huge.Run(t.Context(), []runners.Tensor{runnertest.INT64([]int64{1}, 10)}, out); err != nil {
		t.Errorf("a small one after it: %v", err)
	}
	out[0].Release()
	if err := add(t.Context(), other); err != nil {
		t.Errorf("the other tenant: %v", err)
	}
}

// Within 50 ms of its context's end nothing of a request runs: the caller has its answer and the worker's processor is idle.
func TestCancelEndsTheRun(t *testing.T) {
	p := newPool(t)
	m := load(t, p, onnxtest.Slow())
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if err := slow(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want context.DeadlineExceeded", err)
		}
		cancel()
		eventually(t, "nothing runs", func() bool { return m.Running() == 0 })
	}
	if s := p.Stats(); s.Crashes != 0 || s.Overruns > 1 {
		t.Errorf("got %+v: the runs were to be ended by the worker, not by its end", s)
	}
}

// A pool is closed when the last run has given its slot back, not when the worker is gone: the run may still have to see to that.
func TestCloseWaitsForRuns(t *testing.T) {
	p := newPool(t)
	release, err := load(t, p, onnxtest.AddSub()).Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	eventually(t, "the worker is killed", func() bool { return p.Stats().Workers == 0 })
	early := time.NewTimer(100 * time.Millisecond)
	defer early.Stop()
	select {
	case err := <-closed:
		t.Fatalf("closed with a slot in use: %v", err)
	case <-early.C:
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestIdleWorkersStop(t *testing.T) {
	p := newPool(t, func(c *worker.Config) { c.IdleStop = 20 * time.Millisecond })
	m, err := p.Load(t.Context(), ada, worker.LoadParams{Label: "m", Model: onnxtest.AddSub().Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Stats().Workers; n != 1 {
		t.Errorf("%d workers, want 1", n)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker ends", func() bool { return p.Stats().Workers == 0 })
	if err := add(t.Context(), load(t, p, onnxtest.AddSub())); err != nil {
		t.Errorf("a model after the stop: %v", err)
	}
	if s := p.Stats(); s.Crashes != 0 {
		t.Errorf("%d crashes, want none", s.Crashes)
	}
}

func TestRecycle(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells how large a worker is")
	}
	p := newPool(t, func(c *worker.Config) { c.Recycle, c.Heartbeat = 1, 200*time.Millisecond })
	m := load(t, p, onnxtest.AddSub())
	first := m.PID()
	eventually(t, "the worker is recycled", func() bool {
		if err := add(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return p.Stats().Recycled > 0
	})
	if err := add(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if m.PID() == first {
		t.Error("the worker was not replaced")
	}
	if s := p.Stats(); s.Crashes != 0 {
		t.Errorf("%d crashes, want none", s.Crashes)
	}
}
