package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// blocker is a model service whose model "ok" waits until it is let go.
type blocker struct {
	fakeModels
	entered chan struct{}
	leave   chan struct{}
}

func newBlocker() *blocker {
	return &blocker{entered: make(chan struct{}, 1000), leave: make(chan struct{})}
}

func (b *blocker) Run(ctx context.Context, _ int, in []sandbox.ModelValue) ([]sandbox.ModelValue, error) {
	b.entered <- struct{}{}
	select {
	case <-b.leave:
		return in, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// occupy keeps n instances of the services plugin busy until the blocker lets go; wait waits for the calls.
func occupy(t *testing.T, p *sandbox.Plugin, b *blocker, n int) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			x := value.Tensor(abi.FP32, []int64{1}, floats(1))
			r, err := p.Call(t.Context(), sandbox.Call{
				Function: "pass_handle", Inputs: []value.Value{x}, With: []byte(`{"model":"ok"}`), Services: sandbox.Services{Models: b},
			})
			if err != nil {
				t.Error(err)
				return
			}
			r.Release()
		})
		<-b.entered
	}
	return wg.Wait
}

func TestPoolBounds(t *testing.T) {
	h := newHost(t, sandbox.Config{MaxInstances: 4, MaxInstancesPerPlugin: 3, MaxWaiting: 2})
	p, q := load(t, h, "services"), load(t, h, "values")
	b := newBlocker()
	wait := occupy(t, p, b, 3)
	call(t, q, "nothing") // another plugin still runs
	if got := h.Stats().Instances; got != 4 {
		t.Errorf("%d instances live, want 4", got)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, sandbox.Call{Function: "sleep"})
	wantError(t, err, sandbox.KindDeadline, "", "before it could start")

	results := make(chan error, 2)
	for range 2 {
		go func() {
			r, err := p.Call(t.Context(), sandbox.Call{Function: "sleep"})
			if err == nil {
				r.Release()
			}
			results <- err
		}()
	}
	for h.Stats().Waiting < 2 {
		runtime.Gosched()
	}
	_, err = p.Call(t.Context(), sandbox.Call{Function: "sleep"})
	wantError(t, err, sandbox.KindQuota, "", "too many")
	close(b.leave)
	wait()
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("a waiting call: %v", err)
		}
	}
}

// The plugins of one tenant share a bound, and leave the rest to others.
func TestTenantBound(t *testing.T) {
	h := newHost(t, sandbox.Config{MaxInstances: 8, MaxInstancesPerTenant: 2})
	loadFor := func(tenant string) *sandbox.Plugin {
		p, err := h.LoadFor(t.Context(), sandbox.Loading{Tenant: tenant}, moduleBytes(t, "services"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, q, other := loadFor("a"), loadFor("a"), loadFor("b")
	b := newBlocker()
	waitP, waitQ := occupy(t, p, b, 1), occupy(t, q, b, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, sandbox.Call{Function: "sleep"})
	wantError(t, err, sandbox.KindDeadline, "", "before it could start")
	call(t, other, "sleep")
	close(b.leave)
	waitP()
	waitQ()
	call(t, p, "sleep")
	for _, pl := range []*sandbox.Plugin{p, q, other} {
		if err := pl.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Idle instances of one plugin make room for another, and are given back after a while.
func TestIdle(t *testing.T) {
	h := newHost(t, sandbox.Config{MaxInstances: 2, IdleTimeout: 30 * time.Millisecond})
	p, q := load(t, h, "values"), load(t, h, "services")
	for range 3 {
		call(t, p, "nothing")
		call(t, q, "sleep")
		call(t, q, "sleep")
		call(t, p, "echo", value.Tensor(abi.UINT8, []int64{100_000}, make([]byte, 100_000))) // a larger arena
	}
	if got := h.Stats().Instances; got > 2 {
		t.Errorf("%d instances live, want at most 2", got)
	}
	for h.Stats().Instances > 0 {
		runtime.Gosched()
	}
	call(t, p, "nothing")
}

// Many configurations share the bound on snapshots.
func TestManyConfigurations(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	p := load(t, h, "services")
	for i := range 200 {
		with := fmt.Sprintf(`{"model":"ok","n":%d}`, i%130)
		r, err := p.Call(t.Context(), sandbox.Call{Function: "talk", With: []byte(with)})
		if err != nil {
			t.Fatal(err)
		}
		r.Release()
		if got, want := string(r.Outputs[0].Data), fmt.Sprint("ok ", i%130); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestCloseWhileRunning(t *testing.T) {
	h, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := load(t, h, "hostile")
	errs := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := hostile(t.Context(), p, "spin", 0, sandbox.Services{})
			errs <- err
		}()
	}
	for h.Stats().Instances < 4 {
		runtime.Gosched()
	}
	if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		var ce *sandbox.CallError
		if err := <-errs; !errors.As(err, &ce) || ce.Kind != sandbox.KindClosed {
			t.Errorf("got %v, want it closed", err)
		}
	}
	_, err = hostile(t.Context(), p, "spin", 0, sandbox.Services{})
	wantError(t, err, sandbox.KindClosed, "", "closed")
	if _, err := h.Load(t.Context(), nil); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("load after close: got %v, want ErrClosed", err)
	}
}

// Close waits for a lease, and a lease survives the close of its plugin.
func TestCloseWaitsForLease(t *testing.T) {
	h, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := load(t, h, "values")
	in := everyKind()
	r, err := p.Call(t.Context(), sandbox.Call{Function: "echo", Inputs: in, Lease: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.BytesOut != 0 {
		t.Errorf("%d bytes were copied out, want 0", r.BytesOut)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close with a lease: got %v, want context.DeadlineExceeded", err)
	}
	if got := string(r.Outputs[1].Data); got != "grüße" {
		t.Errorf("the lease holds %q", got)
	}
	r.Release()
	r.Release()
	if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := h.Stats().Instances; got != 0 {
		t.Errorf("%d instances live after close", got)
	}
}

// The same bytes are one program, each Plugin has instances of its own, and the last Close frees the program.
func TestSharedProgram(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	var wg sync.WaitGroup
	plugins := make([]*sandbox.Plugin, 8)
	for i := range plugins {
		wg.Go(func() { plugins[i] = load(t, h, "values") })
	}
	wg.Wait()
	if got := h.Stats().Programs; got != 1 {
		t.Errorf("%d programs, want 1", got)
	}
	for _, p := range plugins {
		call(t, p, "nothing")
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		_, err := p.Call(t.Context(), sandbox.Call{Function: "nothing"})
		wantError(t, err, sandbox.KindClosed, "", "unloaded")
	}
	if got := h.Stats().Programs; got != 0 {
		t.Errorf("%d programs after the last close, want 0", got)
	}
}

// Everything at once: calls of every kind on several plugins, loads, closes, cancellations.
func TestHammer(t *testing.T) {
	h := newHost(t, sandbox.Config{MaxInstances: 6, MaxInstancesPerPlugin: 3, IdleTimeout: 5 * time.Millisecond})
	v, x := load(t, h, "values"), load(t, h, "hostile")
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	var wg sync.WaitGroup
	var done atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			for i := range rounds {
				hammer(t, h, v, x, g*rounds+i)
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if done.Load() != int64(8*rounds) {
		t.Errorf("%d rounds done", done.Load())
	}
}

func hammer(t *testing.T, h *sandbox.Host, v, x *sandbox.Plugin, i int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	switch i % 7 {
	case 0, 1, 2:
		in := everyKind()
		in[0] = value.Tensor(abi.UINT8, []int64{int64(i * 100)}, make([]byte, i*100))
		r, err := v.Call(ctx, sandbox.Call{Function: "copy", Inputs: in, Lease: i%2 == 0})
		if err != nil {
			t.Error(err)
			return
		}
		if string(r.Outputs[1].Data) != "grüße" || len(r.Outputs[0].Data) != i*100 {
			t.Errorf("got %v", r.Outputs[1])
		}
		r.Release()
	case 3:
		_, _ = hostile(ctx, x, "trap", int32(i%4), sandbox.Services{})
	case 4:
		short, stop := context.WithTimeout(ctx, 2*time.Millisecond)
		_, _ = hostile(short, x, "spin", 0, sandbox.Services{})
		stop()
	case 5:
		_, _ = hostile(ctx, x, "memory", 2, sandbox.Services{})
	case 6:
		p, err := h.Load(ctx, moduleBytes(t, "values"))
		if err != nil {
			t.Error(err)
			return
		}
		call(t, p, "nothing")
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Guests that spin on every core let the collector and other goroutines work.
func TestSpinningGuestsYield(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() { _, _ = hostile(ctx, p, "spin", 0, sandbox.Services{}) })
	}
	var worst time.Duration
	for range 20 {
		began := time.Now()
		runtime.GC()
		worst = max(worst, time.Since(began))
	}
	t.Logf("slowest collection %v", worst)
	cancel()
	wg.Wait()
	if worst > 10*time.Second {
		t.Errorf("a collection took %v", worst)
	}
}

// pluginOf loads the services plugin for a tenant.
func pluginOf(t *testing.T, h *sandbox.Host, tenant string) *sandbox.Plugin {
	t.Helper()
	p, err := h.LoadFor(t.Context(), sandbox.Loading{Tenant: tenant}, moduleBytes(t, "services"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// queueUp has a call wait for an instance, and tells ended how it ends.
func queueUp(t *testing.T, p *sandbox.Plugin, ended chan<- error) {
	t.Helper()
	go func() {
		r, err := p.Call(t.Context(), sandbox.Call{Function: "sleep"})
		if err == nil {
			r.Release()
		}
		ended <- err
	}()
}

// A tenant that takes all instances that it can leaves as many to others as it has, and one that fills the queue loses calls of its own
// when others come to wait.
func TestTenantsShareInstancesAndTheQueue(t *testing.T) {
	h := newHost(t, sandbox.Config{MaxInstances: 4, MaxWaiting: 4})
	hog, other := pluginOf(t, h, "hog"), pluginOf(t, h, "other")
	b := newBlocker()
	waitHog := occupy(t, hog, b, 2)
	hogs, others := make(chan error, 10), make(chan error, 10)
	for n := range 4 { // of 4 instances it may have 2
		queueUp(t, hog, hogs)
		for h.Stats().Waiting <= n {
			runtime.Gosched()
		}
	}
	_, err := hog.Call(t.Context(), sandbox.Call{Function: "sleep"})
	wantError(t, err, sandbox.KindQuota, "", "4 of the tenant's, whose part is 4")
	call(t, other, "sleep")
	waitOther := occupy(t, other, b, 1) // 1 is free, and as many as it has
	for range 2 {
		queueUp(t, other, others)
		err := <-hogs
		wantError(t, err, sandbox.KindQuota, "", "whose part is 2")
		if w, ok := errors.AsType[*sandbox.TenantWaitingError](err); !ok || w.Limit != 2 || w.Use < 3 {
			t.Errorf("got %+v", w)
		}
	}
	_, err = other.Call(t.Context(), sandbox.Call{Function: "sleep"})
	wantError(t, err, sandbox.KindQuota, "", "2 of the tenant's, whose part is 2")
	if got := h.Stats(); got.Waiting != 4 || got.Instances-got.Idle != 3 {
		t.Errorf("got %+v, want 4 calls that wait for 3", got)
	}
	close(b.leave)
	waitHog()
	waitOther()
	for _, ended := range []<-chan error{hogs, others} {
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("a waiting call: %v", err)
			}
		}
	}
}
