package background

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"github.com/tandem-serve/tandem/internal/schedclass"
)

// Task is a goroutine that works for a tenant. Its methods are called on that goroutine only; a nil Task is one that no scheduler
// knows of.
type Task struct {
	s       *Scheduler
	account *account // nil when the scheduler knows of no tenants
	idle    bool     // the goroutine is locked to its thread, which is of the idle class
	slot    bool     // it has taken one, which it may have lost since
	place   place
	yielded time.Time // or when it began
}

type taskKey struct{}

// Fork says that the calling goroutine works for the same tenant as that of ctx, until the task ends.
func Fork(ctx context.Context) (context.Context, *Task) {
	t, _ := ctx.Value(taskKey{}).(*Task)
	if t == nil {
		return ctx, nil
	}
	tenant := ""
	if t.account != nil {
		tenant = t.account.tenant
	}
	return t.s.Begin(ctx, tenant)
}

// Look is [Task.Look] of the task that ctx carries, which must be that of the calling goroutine.
func Look(ctx context.Context) {
	t, _ := ctx.Value(taskKey{}).(*Task)
	t.Look()
}

// Rest is [Task.Rest] of the task that ctx carries, which must be that of the calling goroutine.
func Rest(ctx context.Context) {
	t, _ := ctx.Value(taskKey{}).(*Task)
	t.Rest()
}

// Look moves the goroutine's thread to the class in which the tenant is now, and waits for a slot if that is behind. To be called before
// something is computed, and from time to time by what computes for long.
func (t *Task) Look() {
	if t == nil {
		return
	}
	if t.account != nil {
		t.follow()
	}
	if t.idle {
		t.slot = true
		t.s.slots.take(t.account, &t.place)
	}
	t.yield()
}

// yield lets Go's scheduler look now and then what else there is to do. While a goroutine computes and nothing becomes ready, nobody may
// be waiting for the network: who did has got this goroutine from it. Then only Go's monitor looks, each 10 ms.
func (t *Task) yield() {
	if now := time.Now(); now.Sub(t.yielded) >= yieldEach {
		t.s.yield()
		t.yielded = time.Now()
	}
}

// Rest gives the slot to others. To be called before the goroutine waits for something else.
func (t *Task) Rest() {
	if t != nil && t.slot {
		t.slot = false
		t.s.slots.give(&t.place)
	}
}

// follow moves the goroutine's thread to the class in which the tenant is now.
func (t *Task) follow() {
	s := t.s
	s.judge()
	behind := t.account.behind.Load() && !s.broken.Load()
	if behind == t.idle {
		return
	}
	if behind {
		t.fallBehind()
	} else {
		t.comeBack()
	}
}

// Room tells whether one goroutine more would do good to what the task of ctx works on. A tenant that is behind has as many tasks as can
// run, and some that wait: each takes a processor of Go's from the others, also while it has no core.
func Room(ctx context.Context) bool {
	t, _ := ctx.Value(taskKey{}).(*Task)
	if t == nil || t.account == nil || !t.account.behind.Load() {
		return true
	}
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.account.tasks < 2*s.cfg.Cores
}

// End says that the goroutine does not work for the tenant any more.
func (t *Task) End() {
	if t == nil || t.account == nil {
		return
	}
	if t.idle {
		t.comeBack()
	}
	t.s.end(t.account)
}

func (t *Task) fallBehind() {
	s := t.s
	if s.held.Add(1) > mostThreads {
		s.held.Add(-1)
		return
	}
	runtime.LockOSThread()
	if err := s.move(schedclass.Idle); err != nil {
		runtime.UnlockOSThread()
		s.held.Add(-1)
		s.fail(err)
		return
	}
	t.idle = true
}

// comeBack leaves a thread that cannot be moved back to the goroutine, with which it ends.
func (t *Task) comeBack() {
	t.Rest()
	t.idle = false
	t.s.held.Add(-1)
	if err := t.s.move(schedclass.Normal); err != nil {
		t.s.fail(err)
		return
	}
	runtime.UnlockOSThread()
}

func (s *Scheduler) fail(err error) {
	if !s.broken.Swap(true) {
		s.cfg.Logger.Warn("threads cannot be moved between scheduling classes any more: busy tenants work beside the others", slog.Any("error", err))
	}
}
