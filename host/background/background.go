// Package background has tenants that keep the cores busy work behind those that do not: the threads of the former run only where
// none of the latter wants to.
//
// A tenant's load is how many goroutines it has at work, waits included, as an average over the latest tenth of a second or so. Half of
// the cores are shared out by need: everybody gets what they ask for, and those who ask for more than is left an equal part of it
// (max-min fairness). Who asks for more than that part is behind, for as long as there is somebody who does not. So those that go first take
// half of the cores together at most, and nobody is behind on a server that has one tenant, is not busy, or is filled by tenants that
// want equally much.
//
// Of the goroutines that are behind, as many compute at once as there are cores; the others wait for a slot.
//
// Locks: Scheduler.mu and slots.mu, under which nothing blocks. The package starts no goroutines.
package background

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/internal/pulse"
	"github.com/tandem-serve/tandem/internal/schedclass"
)

const (
	// memory is the time constant of loads: of what a load was so long ago, 1/e still counts. They rise faster, and faster still while nobody
	// is behind and a tenant has much at once, at work on two times as many goroutines as there are cores or more: it is found out before it is felt,
	// within 3 ms. Once somebody is behind others may have much at once because they were slowed down.
	memory      = 100 * time.Millisecond
	riseMemory  = 40 * time.Millisecond
	burstMemory = 10 * time.Millisecond
	// patience is by how much the load of a tenant that goes first may be beyond its part before it does not any more. A tenant that
	// others slow down has more at work, for waits count.
	patience = 2
	// judgeEach is the least time between two judgements.
	judgeEach = 2 * time.Millisecond
	// stay is how long a tenant is behind at least.
	stay = 100 * time.Millisecond
	// forgotten is the load below which a tenant that has nothing at work is forgotten.
	forgotten = 0.001
	// pulseFor is for how long the system looks often for who should have a core, after a judgement by which somebody is behind.
	pulseFor = 100 * time.Millisecond
	// yieldEach is the least time between two of a goroutine's yields.
	yieldEach = 500 * time.Microsecond
	// mostThreads is how many threads are held at most by goroutines that are behind, which each has one also while it waits: a Go program
	// may have 10,000. Who finds none stays as it is.
	mostThreads = 1000
)

// Config configures a [Scheduler].
type Config struct {
	// Cores is what the tenants share. Default 1.
	Cores int
	// Changed is called after it has changed whether a tenant is behind; [Scheduler.Behind] says how it is now. Calls may overlap. It is
	// for what works for the tenant in other processes. Default: nobody is told.
	Changed func(tenant string)
	// Logger is told when threads cannot be moved any more. Default: nobody is.
	Logger *slog.Logger
}

// Scheduler judges tenants and moves the threads that work for them. A nil Scheduler moves none. Its methods may overlap.
type Scheduler struct {
	cfg    Config
	start  time.Time
	move   func(schedclass.Class) error // of the calling goroutine's thread; nil of one that only has goroutines yield
	pulse  func(time.Duration) error    // has the system look often for who should have a core, for so long
	still  atomic.Bool                  // there is no pulse
	yield  func()                       // lets Go's scheduler look what else there is to do
	broken atomic.Bool                  // threads cannot be moved any more
	held   atomic.Int64                 // threads of goroutines that are behind
	slots  slots

	judged atomic.Int64 // when it was last judged, since the start
	behind atomic.Int64 // tenants that are

	mu      sync.Mutex // guards the following, and the marked fields of accounts
	tenants map[string]*account
}

// account is one tenant's.
type account struct {
	s      *Scheduler
	tenant string
	behind atomic.Bool

	tasks int           // guarded by Scheduler.mu
	load  float64       // at the time at; guarded by Scheduler.mu
	at    time.Duration // since the start; guarded by Scheduler.mu
	since time.Duration // when it went behind; guarded by Scheduler.mu

	places []*place // of goroutines that wait for a slot, oldest first; guarded by slots.mu
}

// New returns a scheduler. Where threads cannot be moved there and back, it returns why, and no scheduler: [Yielding] is what is left then.
func New(cfg Config) (*Scheduler, error) {
	if err := schedclass.Available(); err != nil {
		return nil, err
	}
	return newScheduler(cfg, schedclass.Thread, pulse.For), nil
}

func newScheduler(cfg Config, move func(schedclass.Class) error, pulse func(time.Duration) error) *Scheduler {
	cfg.Cores = max(cfg.Cores, 1)
	if cfg.Changed == nil {
		cfg.Changed = func(string) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Scheduler{cfg: cfg, start: time.Now(), move: move, pulse: pulse, yield: runtime.Gosched, slots: slots{cores: cfg.Cores}, tenants: map[string]*account{}}
}

// Yielding returns a scheduler that knows of no tenants and moves no threads: what computes for long yields now and then, as with any other.
func Yielding() *Scheduler { return &Scheduler{yield: runtime.Gosched} }

// Behind tells whether a tenant's threads go behind those of others.
func (s *Scheduler) Behind(tenant string) bool {
	if !s.Split() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.tenants[tenant]
	return a != nil && a.behind.Load()
}

// Split tells whether there are tenants that are behind, and so others that go before them. It is cheap.
func (s *Scheduler) Split() bool { return s.Count() > 0 }

// Count returns how many tenants are behind. It is cheap.
func (s *Scheduler) Count() int {
	if s == nil {
		return 0
	}
	return int(s.behind.Load())
}

// Begin says that the calling goroutine works for a tenant until the task ends. The context carries the task to [Look], [Rest] and
// [Fork]. It does not wait, since nothing is computed yet.
func (s *Scheduler) Begin(ctx context.Context, tenant string) (context.Context, *Task) {
	if s == nil {
		return ctx, nil
	}
	t := &Task{s: s, yielded: time.Now()}
	if s.move != nil {
		t.account = s.begin(tenant)
		t.follow()
	}
	return context.WithValue(ctx, taskKey{}, t), t
}

// begin counts one task more of a tenant.
func (s *Scheduler) begin(tenant string) *account {
	now := time.Since(s.start)
	s.mu.Lock()
	a := s.tenants[tenant]
	if a == nil {
		a = &account{s: s, tenant: tenant, at: now}
		s.tenants[tenant] = a
	}
	a.setLocked(now, +1)
	s.mu.Unlock()
	return a
}

func (s *Scheduler) end(a *account) {
	now := time.Since(s.start)
	s.mu.Lock()
	a.setLocked(now, -1)
	s.mu.Unlock()
}

// setLocked brings the load up to date and changes how many tasks there are.
func (a *account) setLocked(now time.Duration, by int) {
	if now > a.at {
		constant := memory
		switch {
		case float64(a.tasks) <= a.load:
		case a.tasks >= 2*a.s.cfg.Cores && !a.s.Split():
			constant = burstMemory
		default:
			constant = riseMemory
		}
		old := math.Exp(-float64(now-a.at) / float64(constant))
		a.load = a.load*old + float64(a.tasks)*(1-old)
		a.at = now
	}
	a.tasks += by
}

// judge finds out who is behind, unless that was done of late.
func (s *Scheduler) judge() {
	now, last := time.Since(s.start), s.judged.Load()
	if now-time.Duration(last) < judgeEach || !s.judged.CompareAndSwap(last, int64(now)) {
		return
	}
	s.mu.Lock()
	changed := s.judgeLocked(now)
	s.mu.Unlock()
	if s.Split() {
		s.beat()
	}
	for _, tenant := range changed {
		s.cfg.Changed(tenant)
	}
}

// beat has the system look often for who should have a core: a thread that goes first may be waiting for one that another has who is behind.
func (s *Scheduler) beat() {
	if s.still.Load() {
		return
	}
	if err := s.pulse(pulseFor); err != nil && !s.still.Swap(true) {
		s.cfg.Logger.Warn("tenants wait longer for those that are behind them: the system looks at its clock's ticks only for who should have a core", slog.Any("error", err))
	}
}

// judgeLocked returns the tenants for which something has changed.
func (s *Scheduler) judgeLocked(now time.Duration) (changed []string) {
	loads := make([]float64, 0, len(s.tenants))
	for name, a := range s.tenants {
		a.setLocked(now, 0)
		if a.tasks == 0 && a.load < forgotten {
			delete(s.tenants, name)
			if a.behind.Swap(false) {
				changed = append(changed, name)
			}
			continue
		}
		loads = append(loads, a.load)
	}
	part := share(loads, float64(s.cfg.Cores)/2)
	split := s.Split()
	within := func(a *account) bool {
		return a.load <= part || split && !a.behind.Load() && a.load <= patience*part
	}
	first := false
	for _, a := range s.tenants {
		first = first || within(a)
	}
	count := int64(0)
	for name, a := range s.tenants {
		behind := first && !within(a)
		if a.behind.Load() && first && !behind {
			behind = a.load > part/2 || now-a.since < stay
		}
		if a.behind.Swap(behind) != behind {
			a.since = now
			changed = append(changed, name)
		}
		if behind {
			count++
		}
	}
	s.behind.Store(count)
	return changed
}

// share returns the most that anybody gets when capacity is shared out by need, +Inf when it is enough for all. It sorts the loads.
func share(loads []float64, capacity float64) float64 {
	slices.Sort(loads)
	for i, load := range loads {
		part := capacity / float64(len(loads)-i)
		if load > part {
			return part
		}
		capacity -= load
	}
	return math.Inf(1)
}
