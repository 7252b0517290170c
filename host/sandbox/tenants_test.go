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
	"github.com/tandem-serve/tandem/host/value"
)

// memoryHost returns a host whose tenant "a" may have limit bytes of memory, and others as much as they like.
func memoryHost(t *testing.T, limit int64) *sandbox.Host {
	t.Helper()
	return newHost(t, sandbox.Config{TenantMemory: func(tenant string) int64 {
		if tenant == "a" {
			return limit
		}
		return -1
	}})
}

// loadFor loads a module for a tenant; it is closed when the test ends.
func loadFor(t *testing.T, h *sandbox.Host, tenant, module string) *sandbox.Plugin {
	t.Helper()
	p, err := h.LoadFor(t.Context(), sandbox.Loading{Tenant: tenant}, moduleBytes(t, module))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// wantLack makes sure that err is a refusal for want of the tenant's memory, with figures that explain it.
func wantLack(t *testing.T, err error, limit int64) {
	t.Helper()
	var lack *sandbox.TenantMemoryError
	if !errors.As(err, &lack) || lack.Limit != limit || lack.Use+lack.Need <= limit || lack.Use > limit || lack.Need <= 0 {
		t.Fatalf("got %v (%+v), want a refusal with a limit of %d", err, lack, limit)
	}
	var ce *sandbox.CallError
	if !errors.As(err, &ce) || ce.Kind != sandbox.KindQuota {
		t.Errorf("got %v, want kind quota", err)
	}
}

// waitFor polls until what holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// The guests of a tenant grow to its limit together and no further, whatever others have, and what they had comes back.
func TestTenantMemoryBoundsGrowth(t *testing.T) {
	const limit = 16 << 20
	h := memoryHost(t, limit)
	a, b := loadFor(t, h, "a", "hostile"), loadFor(t, h, "b", "hostile")
	grow := func(p *sandbox.Plugin, mode int32) (*sandbox.Result, error) {
		return p.Call(t.Context(), sandbox.Call{Function: "memory", Inputs: []value.Value{int32s(mode)}, Lease: true})
	}
	for range 3 {
		first, err := grow(a, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(first.Release)
		if got := h.TenantMemory("a"); got > limit || got < limit-2<<20 {
			t.Errorf("after growing as far as it goes: %d bytes, want about %d", got, limit)
		}
		second, err := grow(a, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := int64of(t, second.Outputs[0]); got > 1 {
			t.Errorf("a second guest grew by %d MiB, want what the first left", got)
		}
		second.Release()
		other, err := grow(b, 0)
		if err != nil || int64of(t, other.Outputs[0]) < 200 {
			t.Fatalf("another tenant: got %v, %v, want that it grows to the cap of an instance", other, err)
		}
		other.Release()
		first.Release()
		_, err = grow(a, 1) // traps when it gets no more
		wantLack(t, err, limit)
		waitFor(t, "what guests had grown to is given back", func() bool { return h.TenantMemory("a") < 2<<20 })
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := h.TenantMemory("a"); got != 0 {
		t.Errorf("after its plugin was closed the tenant has %d bytes, want 0", got)
	}
}

// sizeOf returns what one idle instance of a module takes, and its snapshot with it.
func sizeOf(t *testing.T, module, function string, in ...value.Value) int64 {
	t.Helper()
	h := newHost(t, sandbox.Config{})
	call(t, loadFor(t, h, "a", module), function, in...)
	return h.TenantMemory("a")
}

// What lies idle makes room: instances of other plugins, then snapshots of configurations that nobody uses now.
func TestTenantMemoryMakesRoom(t *testing.T) {
	limit := sizeOf(t, "services", "sleep") + 64<<10
	h := memoryHost(t, limit)
	p, q := loadFor(t, h, "a", "services"), loadFor(t, h, "a", "services")
	for i := range 20 {
		call(t, p, "sleep")
		call(t, q, "sleep")
		r, err := p.Call(t.Context(), sandbox.Call{Function: "talk", With: fmt.Appendf(nil, `{"model":"ok","n":%d}`, i)})
		if err != nil {
			t.Fatal(err)
		}
		r.Release()
		if got := h.TenantMemory("a"); got > limit {
			t.Fatalf("the tenant has %d bytes, want at most %d", got, limit)
		}
	}
	if got := h.Stats().Instances; got != 1 {
		t.Errorf("%d instances are left, want the one that there is room for", got)
	}
}

// A call that finds no room for an instance waits until another one of its tenant's has ended; when it cannot wait, it is told
// why. One that could never fit does not wait.
func TestTenantMemoryWaits(t *testing.T) {
	limit := sizeOf(t, "services", "sleep") + 64<<10
	h := memoryHost(t, limit)
	p := loadFor(t, h, "a", "services")
	b := newBlocker()
	wait := occupy(t, p, b, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, sandbox.Call{Function: "sleep"})
	wantLack(t, err, limit)

	done := make(chan error, 1)
	go func() {
		r, err := p.Call(t.Context(), sandbox.Call{Function: "sleep"})
		if err == nil {
			r.Release()
		}
		done <- err
	}()
	waitFor(t, "the call waits", func() bool { return h.Stats().Waiting == 1 })
	call(t, loadFor(t, h, "b", "services"), "sleep") // others go by
	close(b.leave)
	wait()
	if err := <-done; err != nil {
		t.Errorf("a call that waited for memory: %v", err)
	}

	var least atomic.Int64
	least.Store(limit)
	tiny := newHost(t, sandbox.Config{TenantMemory: func(string) int64 { return least.Load() }})
	p = loadFor(t, tiny, "a", "services")
	least.Store(100 << 10) // after it was loaded, for which there would not be enough
	_, err = p.Call(t.Context(), sandbox.Call{Function: "sleep"})
	wantLack(t, err, 100<<10)
}

// Many calls at once, of several plugins that grow, trap and wait: the tenant never has more than its limit, everybody who waits
// is served or told, and nothing stays counted.
func TestTenantMemoryHammer(t *testing.T) {
	limit := 3 * sizeOf(t, "hostile", "memory", int32s(5))
	h := memoryHost(t, limit)
	plugins := []*sandbox.Plugin{loadFor(t, h, "a", "hostile"), loadFor(t, h, "a", "hostile")}
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range rounds {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%3+1)*10*time.Millisecond)
				_, _ = plugins[g%2].Call(ctx, sandbox.Call{ // what it answers is not the point
					Function: "memory", Inputs: []value.Value{int32s([]int32{5, 2, 1, 0}[(g+i)%4])}, With: fmt.Appendf(nil, `{"n":%d}`, i%5),
				})
				cancel()
				if got := h.TenantMemory("a"); got > limit {
					t.Errorf("the tenant has %d bytes, want at most %d", got, limit)
				}
			}
		})
	}
	wg.Wait()
	for _, p := range plugins {
		call(t, p, "answer", int32s(0))
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	waitFor(t, "nothing is counted", func() bool { return h.TenantMemory("a") == 0 && h.Stats().GuestBytes == 0 })
}
