//go:build cgo

package worker_test

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/schedclass"
	"github.com/tandem-serve/tandem/internal/schedclass/schedclasstest"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// TestReclass has the workers of one tenant, those that are and those that start, scheduled as the tenant is.
func TestReclass(t *testing.T) {
	if err := schedclass.Available(); err != nil {
		t.Skip(err)
	}
	var behind atomic.Bool
	p := newPool(t, func(c *worker.Config) {
		c.Behind = func(tenant string) bool { return tenant == "busy" && behind.Load() }
	})
	busy, other := loadFor(t, p, worker.Key{Tenant: "busy"}, onnxtest.AddSub()), loadFor(t, p, worker.Key{Tenant: "other"}, onnxtest.AddSub())
	for range 2 {
		for _, is := range []bool{true, false} {
			behind.Store(is)
			p.Reclass("busy")
			p.Reclass("other")
			p.Reclass("nobody")
			if idle, all := schedclasstest.Count(t, busy.PID(), unix.SCHED_IDLE), len(schedclasstest.Policies(t, busy.PID())); is && idle < all || !is && idle > 0 {
				t.Errorf("the tenant is behind: %v; %d of %d threads of its worker are idle ones", is, idle, all)
			}
			if n := schedclasstest.Count(t, other.PID(), unix.SCHED_IDLE); n > 0 {
				t.Errorf("%d threads of the other's worker are idle ones", n)
			}
		}
	}
	behind.Store(true)
	late := loadFor(t, p, worker.Key{Tenant: "busy", Device: "another"}, onnxtest.AddSub())
	if n := schedclasstest.Count(t, late.PID(), unix.SCHED_NORMAL); n > 0 {
		t.Errorf("%d threads of a worker that started behind are normal ones", n)
	}
}

// TestReclassDuringStart has the tenant fall behind while its worker starts, when the pool cannot be told of that worker yet.
func TestReclassDuringStart(t *testing.T) {
	if err := schedclass.Available(); err != nil {
		t.Skip(err)
	}
	var asked atomic.Int64
	p := newPool(t, func(c *worker.Config) {
		c.Behind = func(tenant string) bool { return tenant == "busy" && asked.Add(1) > 1 }
	})
	m := loadFor(t, p, worker.Key{Tenant: "busy"}, onnxtest.AddSub())
	if n := schedclasstest.Count(t, m.PID(), unix.SCHED_NORMAL); n > 0 {
		t.Errorf("%d threads of the worker are normal ones", n)
	}
}
