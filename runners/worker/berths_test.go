//go:build cgo && (linux || darwin)

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// few makes pools of n processes at most.
func few(n int, wait time.Duration) func(*worker.Config) {
	return func(c *worker.Config) { c.MaxWorkers, c.StartWait = n, wait }
}

// Many tenants take turns in few processes: every run is answered, and there are never more of them.
func TestFewWorkersServeMany(t *testing.T) {
	const most, tenants = 2, 5
	p := newPool(t, few(most, time.Minute))
	models := make([]*worker.Model, tenants)
	for i := range models {
		models[i] = loadFor(t, p, worker.Key{Tenant: fmt.Sprint(i)}, onnxtest.AddSub())
	}
	for round := range 2 {
		var wg sync.WaitGroup
		for i, m := range models {
			wg.Go(func() {
				if err := add(t.Context(), m); err != nil {
					t.Errorf("round %d, tenant %d: %v", round, i, err)
				}
			})
		}
		wg.Wait()
		if got := p.Stats().Workers; got > most {
			t.Errorf("%d workers run, want at most %d", got, most)
		}
	}
	s := p.Stats()
	if s.Evicted < tenants-most || s.Crashes != 0 || s.Restarts != 0 {
		t.Errorf("got %+v, want workers that made room and none that crashed", s)
	}
}

// A worker that runs something is not stopped for another one: who finds all busy is told after a while, and served when one is
// free.
func TestBusyWorkersStay(t *testing.T) {
	p := newPool(t, few(1, 200*time.Millisecond))
	busy := load(t, p, onnxtest.Slow())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- slow(ctx, busy) }()
	eventually(t, "the run begins", func() bool { return busy.Running() > 0 })
	_, err := p.Load(t.Context(), worker.Key{Tenant: "bob"}, worker.LoadParams{Label: "add@1", Model: onnxtest.AddSub().Bytes()})
	if !errors.Is(err, runners.ErrOverloaded) || !strings.Contains(err.Error(), "all 1 worker processes") {
		t.Errorf("got %v, want that all are busy", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the run that was there before: got %v, want that it ended with its context", err)
	}
	var m *worker.Model
	eventually(t, "the worker that is idle now makes room", func() bool {
		m, err = p.Load(t.Context(), worker.Key{Tenant: "bob"}, worker.LoadParams{Label: "add@1", Model: onnxtest.AddSub().Bytes()})
		return err == nil
	})
	t.Cleanup(func() { _ = m.Close() })
	if err := add(t.Context(), m); err != nil {
		t.Error(err)
	}
}

// A tenant whose models name many providers has a few processes: the next waits until one of its own is free, and others have theirs at
// once.
func TestWorkersOfATenant(t *testing.T) {
	p := newPool(t, few(4, 200*time.Millisecond), func(c *worker.Config) { c.MaxWorkersPerTenant = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	for _, device := range []string{"a", "b"} {
		busy := loadFor(t, p, worker.Key{Tenant: "hog", Device: device}, onnxtest.Slow())
		go func() { done <- slow(ctx, busy) }()
		eventually(t, "the run begins", func() bool { return busy.Running() > 0 })
	}
	third := func() (*worker.Model, error) {
		return p.Load(t.Context(), worker.Key{Tenant: "hog", Device: "c"}, worker.LoadParams{Label: "add@1", Model: onnxtest.AddSub().Bytes()})
	}
	if _, err := third(); !errors.Is(err, runners.ErrOverloaded) || !strings.Contains(err.Error(), "all 2 worker processes that a tenant may have") {
		t.Errorf("got %v, want that the tenant has as many as it may", err)
	}
	if err := add(t.Context(), loadFor(t, p, worker.Key{Tenant: "bob"}, onnxtest.AddSub())); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	cancel()
	for range 2 {
		<-done
	}
	var m *worker.Model
	eventually(t, "one of its own that is idle now makes room", func() (ok bool) {
		var err error
		m, err = third()
		return err == nil
	})
	t.Cleanup(func() { _ = m.Close() })
	if got := p.Stats().Workers; got > 3 {
		t.Errorf("%d workers run, want at most 2 of one tenant and 1 of the other", got)
	}
}
