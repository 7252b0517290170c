//go:build cgo && linux

package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// awaited is a context that tells when somebody waits for its end: a run does so from when it is handed to the worker.
type awaited struct {
	context.Context
	once  sync.Once
	asked chan struct{}
}

func (c *awaited) Done() <-chan struct{} {
	c.once.Do(func() { close(c.asked) })
	return c.Context.Done()
}

// ends tells of workers that ended, from what the pool logs.
type ends struct {
	slog.Handler
	told chan struct{}
}

func (h *ends) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "worker ended" || strings.HasPrefix(r.Message, "worker replaced") {
		h.told <- struct{}{}
	}
	return h.Handler.Handle(ctx, r)
}

// hung is a worker that does nothing any more, in the middle of a run.
type hung struct {
	pool   *worker.Pool
	model  *worker.Model
	pid    int
	cancel context.CancelFunc // of the run
	ran    chan error         // what it returned
	ended  chan struct{}      // has a token for each worker that ended
}

// hang stops a worker during a run. That is what an operator without end, or a process that hangs, looks like from outside.
func hang(ctx context.Context, t *testing.T, change func(*worker.Config)) *hung {
	t.Helper()
	h := &hung{ran: make(chan error, 1), ended: make(chan struct{}, 100)}
	h.pool = newPool(t, change, func(c *worker.Config) {
		c.Strikes = math.MaxInt32
		c.Logger = slog.New(&ends{c.Logger.Handler(), h.ended})
	})
	h.model = load(t, h.pool, onnxtest.Slow())
	h.pid = h.model.PID()
	run := &awaited{asked: make(chan struct{})}
	run.Context, h.cancel = context.WithCancel(ctx)
	t.Cleanup(h.cancel)
	go func() { h.ran <- slow(run, h.model) }()
	select {
	case <-run.asked:
	case err := <-h.ran:
		t.Fatalf("the run ended before it was to: %v", err)
	}
	if err := syscall.Kill(h.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The signal is sent, but threads of the process may run on for a while: until its parent is told that all have stopped.
	for {
		err := unix.Waitid(unix.P_PID, h.pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == nil {
			return h
		}
		if !errors.Is(err, unix.EINTR) {
			t.Fatalf("wait for the stop of the worker: %v", err)
		}
	}
}

// returned gives what the run returned.
func (h *hung) returned(ctx context.Context, t *testing.T) error {
	t.Helper()
	select {
	case err := <-h.ran:
		return err
	case <-ctx.Done():
		t.Fatalf("the run does not return: %d slots in use, %+v", h.model.Running(), h.pool.Stats())
		return nil
	}
}

// killed waits until the worker was.
func (h *hung) killed(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-h.ended:
	case <-ctx.Done():
		t.Fatalf("the worker goes on: %d slots in use, %+v", h.model.Running(), h.pool.Stats())
	}
}

// next checks that the next run works, in another worker. On a machine that is so busy that this one misses its heartbeats too, the
// one after it does.
func (h *hung) next(ctx context.Context, t *testing.T) {
	t.Helper()
	for {
		out := make([]runners.Tensor, 1)
		err := h.model.Run(ctx, []runners.Tensor{runnertest.INT64([]int64{}, 1), runnertest.FP32([]int64{1, 1}, 3)}, out)
		if errors.Is(err, runners.ErrCrashed) {
			h.killed(ctx, t)
			continue
		}
		if err != nil {
			t.Fatalf("the next run: %v; %+v", err, h.pool.Stats())
		}
		if got := runnertest.Floats(out[0]); len(got) != 1 || got[0] != 9 {
			t.Errorf("the next run: got %v, want 9", got)
		}
		out[0].Release()
		break
	}
	if h.model.PID() == h.pid {
		t.Error("the model is still in the worker that was killed")
	}
	if s := h.pool.Stats(); s.Crashes+s.Overruns == 0 || s.Workers != 1 {
		t.Errorf("got %+v, want one worker, in place of another", s)
	}
}

// A worker that stops answering is killed, and one whose run goes on after its caller has gone is replaced.
func TestHang(t *testing.T) {
	t.Run("the run", testHungRun)
	t.Run("the worker", testHungWorker)
}

func testHungRun(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h := hang(ctx, t, func(*worker.Config) {})
	h.cancel()
	if err := h.returned(ctx, t); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	h.killed(ctx, t)
	h.next(ctx, t)
	if s := h.pool.Stats(); s.Lingered != 1 || s.Overruns != 1 {
		t.Errorf("got %+v, want one run that lingered and was ended", s)
	}
}

func testHungWorker(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h := hang(ctx, t, func(c *worker.Config) { c.Heartbeat = 200 * time.Millisecond })
	if err := h.returned(ctx, t); !errors.Is(err, runners.ErrCrashed) || !strings.Contains(err.Error(), "heartbeats") {
		t.Errorf("got %v, want ErrCrashed because of heartbeats", err)
	}
	if s := h.pool.Stats(); s.Crashes == 0 {
		t.Errorf("got %+v, want a crash", s)
	}
	h.killed(ctx, t)
	h.next(ctx, t)
}
