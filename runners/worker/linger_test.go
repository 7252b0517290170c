//go:build cgo && linux

package worker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// heavySide is that of matrices whose product takes tens of seconds in one operator.
const heavySide = 4000

// unit returns the n by n unit matrix of INT32.
func unit(n int) runners.Tensor {
	data := make([]byte, 4*n*n)
	for i := range n {
		binary.LittleEndian.PutUint32(data[4*i*(n+1):], 1)
	}
	return runners.Tensor{DType: runners.INT32, Shape: []int64{int64(n), int64(n)}, Data: data}
}

// heavy runs the model of one long operator until ctx ends.
func heavy(ctx context.Context, m *worker.Model, x runners.Tensor) error {
	out := make([]runners.Tensor, 1)
	err := m.Run(ctx, []runners.Tensor{x}, out)
	out[0].Release()
	return err
}

// used returns the processor time that each thread of a process has had.
func used(t *testing.T, pid int) map[string]time.Duration {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d: threads %q, %v", pid, threads, err)
	}
	by := make(map[string]time.Duration, len(threads))
	for _, name := range threads {
		var ran int64
		if text, err := os.ReadFile(name); err == nil { // a thread may have ended
			if _, err := fmt.Sscan(string(text), &ran); err == nil {
				by[name] = time.Duration(ran)
			}
		}
	}
	return by
}

// overrun begins a run of one long operator, has its caller leave in the middle of that, and returns when the caller has its answer.
// So many other runs compute in the same process.
func overrun(t *testing.T, m *worker.Model, x runners.Tensor, others int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := used(t, m.PID())
	ran := make(chan error, 1)
	go func() { ran <- heavy(ctx, m, x) }()
	eventually(t, "the operator runs", func() bool {
		computing := 0
		for thread, now := range used(t, m.PID()) {
			if now > before[thread]+50*time.Millisecond {
				computing++
			}
		}
		return computing > others
	})
	cancel()
	if err := <-ran; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
}

// hold takes part of the model's worker as a run does that goes on until release is called, or the test ends.
func hold(t *testing.T, m *worker.Model) (release func()) {
	t.Helper()
	release, err := m.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(release)
	t.Cleanup(release)
	return release
}

// ended waits until the process is gone.
func ended(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "the process ends", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

// A run that does not end when its caller leaves, since it is in the middle of one operator, is ended with its worker when that does
// nothing else. That is not held against the model, and what the tenant asks for next is answered.
func TestOneLongOperatorIsEnded(t *testing.T) {
	p := newPool(t, func(c *worker.Config) { c.Strikes, c.HangLimit = 1, time.Hour })
	m, beside := load(t, p, onnxtest.Heavy()), load(t, p, onnxtest.AddSub())
	pid := m.PID()
	overrun(t, m, unit(heavySide), 0)
	ended(t, pid)
	if err := add(t.Context(), beside); err != nil {
		t.Errorf("another model of the tenant: %v", err)
	}
	out := make([]runners.Tensor, 1)
	if err := m.Run(t.Context(), []runners.Tensor{unit(3)}, out); err != nil {
		t.Fatalf("the same model: %v", err)
	}
	if want := unit(3); string(out[0].Data) != string(want.Data) {
		t.Errorf("the same model: got %v", out[0].Data)
	}
	out[0].Release()
	if s := p.Stats(); s.Overruns != 1 || s.Crashes != 0 || s.Restarts != 0 || s.Quarantined != 0 || s.Workers != 1 {
		t.Errorf("got %+v, want one overrun and no crash", s)
	}
}

// What else runs in the worker is finished first, and what comes meanwhile is run in the next one.
func TestOneLongOperatorWaitsForOthers(t *testing.T) {
	p := newPool(t, func(c *worker.Config) { c.HangLimit = time.Hour })
	m, beside := load(t, p, onnxtest.Heavy()), load(t, p, onnxtest.Slow())
	pid := m.PID()
	release := hold(t, beside)
	overrun(t, m, unit(heavySide), 0)
	next := make(chan error, 1)
	go func() {
		out := make([]runners.Tensor, 1)
		next <- beside.Run(t.Context(), []runners.Tensor{runnertest.INT64([]int64{}, 1), runnertest.FP32([]int64{1, 1}, 3)}, out)
		out[0].Release()
	}()
	eventually(t, "the worker takes nothing more", func() bool { return p.Stats().Overruns == 1 })
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the worker is gone while a run goes on in it: %v", err)
	}
	release()
	ended(t, pid)
	if err := <-next; err != nil {
		t.Errorf("a run that came meanwhile: %v", err)
	}
}

// Others that take too long end with the worker; they are told why, and the model that is to blame may run again.
func TestOneLongOperatorDoesNotWaitForever(t *testing.T) {
	p := newPool(t, func(c *worker.Config) { c.HangLimit, c.Strikes = 50*time.Millisecond, 1 })
	m, beside := load(t, p, onnxtest.Heavy()), load(t, p, onnxtest.Slow())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := &awaited{asked: make(chan struct{}), Context: ctx}
	ran := make(chan error, 1)
	go func() { ran <- slow(run, beside) }()
	<-run.asked
	overrun(t, m, unit(heavySide), 1)
	if err := <-ran; !errors.Is(err, runners.ErrCrashed) {
		t.Errorf("the run beside: got %v, want ErrCrashed", err)
	}
	if err := heavy(t.Context(), m, unit(3)); err != nil {
		t.Errorf("the next run: %v", err)
	}
	if s := p.Stats(); s.Overruns != 1 || s.Crashes != 0 || s.Quarantined != 0 {
		t.Errorf("got %+v, want one overrun and no crash", s)
	}
}

// A pool that is closed meanwhile does not wait for the operator.
func TestCloseEndsALongOperator(t *testing.T) {
	p := newPool(t, func(c *worker.Config) { c.HangLimit, c.EndGrace = time.Hour, time.Millisecond })
	m := load(t, p, onnxtest.Heavy())
	release := hold(t, m)
	overrun(t, m, unit(heavySide), 0)
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	eventually(t, "the worker ends", func() bool { return p.Stats().Workers == 0 })
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Who has the worker ended again and again waits longer each time.
func TestForbearance(t *testing.T) {
	var got []time.Duration
	for _, d := range worker.Forbearances(t, 8, worker.Config{EndGrace: 40 * time.Millisecond, HangLimit: time.Second}) {
		got = append(got, d/time.Millisecond)
	}
	want := []time.Duration{0, 80, 160, 320, 640, 1000, 1000, 1000, 0}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v ms, want %v: the last after a quiet minute", got, want)
		}
	}
}
