package sandbox

import (
	"container/heap"
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/host/background"
)

// turnLength is how long a guest may keep a core for which others wait.
const turnLength = time.Millisecond

// turns shares the cores out between guests, fairly between tenants: a guest runs only while it has a turn. While nobody
// waits that costs two locks a call. When guests wait, the next turn goes to the tenant whose guests have run for the
// shortest time, and within a tenant in the order in which they came. What a tenant did not want is not owed to it: while none of
// its guests waits, its time is moved up to that of the tenant that had the latest turn when that began, for a guest that goes on to
// one turn less. So it has saved up a turn at most, whether it did nothing or little.
//
// A tenant that is alone may start more guests than there are cores; Go's scheduler mixes them. They wait for a turn
// like others once they have run for longer than a slice of fuel.
//
// Guests of tenants that are not behind (package background) do not wait for those that are: the system gives them a core
// whatever the others do. As many as there are cores may have such a turn.
type turns struct {
	cores      int
	background ranks

	mu      sync.Mutex    // guards the following, and the marked fields of accounts
	running int           // guests that have a turn
	ahead   int           // of these, such that did not wait for those behind
	waiting int           // guests that wait for one
	active  int           // accounts with a guest that runs or waits
	clock   time.Duration // virtual time of the account that had the latest turn, when that began
	queue   accountHeap   // accounts with guests that wait
	byName  map[string]*account
}

// ranks says which tenants are behind, and whether any is: a [background.Scheduler].
type ranks interface {
	Split() bool
	Behind(tenant string) bool
}

// account is what one tenant's guests use together. It lives as long as its host, so that what it counts only grows.
type account struct {
	tenant string
	born   time.Time // where its guests' clocks start: a program is shared, and its age would tell of others

	cpu atomic.Int64 // what CoreTime says

	virtual time.Duration // time on cores, moved up by what it did not want; guarded by turns.mu
	guests  int           // that run or wait; guarded by turns.mu
	waiters list.List     // of *turn, oldest first; guarded by turns.mu
	at      int           // in the heap; guarded by turns.mu
	working int           // large pieces of the host's work that go on; guarded by turns.mu
	bench   list.List     // of chan struct{}, large pieces that wait, oldest first; guarded by turns.mu
}

// turn is one guest's place. It belongs to the goroutine of the call.
type turn struct {
	account *account
	has     bool
	ahead   bool          // it did not wait for tenants that are behind
	since   time.Time     // when it last began
	used    time.Duration // time on a core, and of the host's work beside it
	waited  time.Duration
	ready   chan struct{} // receives once after each wait
}

func newTurns(cores int, r ranks) *turns {
	return &turns{cores: cores, background: r, byName: map[string]*account{}}
}

// account returns the account of a tenant.
func (s *turns) account(tenant string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byName[tenant]
	if a == nil {
		a = &account{tenant: tenant, born: time.Now()}
		s.byName[tenant] = a
	}
	return a
}

// enter begins a turn, and waits for it when it must. It returns false when ctx or the deadline ended the wait. Who is behind has no
// slot of package background while it waits, and has one again afterwards.
func (s *turns) enter(ctx context.Context, deadline time.Time, t *turn, now time.Time) bool {
	s.mu.Lock()
	s.comeLocked(t.account)
	if s.running < s.cores && len(s.queue) == 0 || s.active == 1 || s.goAheadLocked(t) {
		s.beginLocked(t, now)
		s.mu.Unlock()
		return true
	}
	at := s.pushLocked(t)
	s.mu.Unlock()
	return s.wait(ctx, deadline, t, at, now)
}

// goAheadLocked has a guest go before those of tenants that are behind, or returns false when it has to wait.
func (s *turns) goAheadLocked(t *turn) bool {
	if s.ahead >= s.cores || !s.background.Split() || s.background.Behind(t.account.tenant) {
		return false
	}
	s.ahead++
	t.ahead = true
	return true
}

// leave ends a turn.
func (s *turns) leave(t *turn, now time.Time) {
	s.mu.Lock()
	s.endLocked(t, now)
	s.partLocked(t.account)
	s.dispatchLocked(now)
	s.mu.Unlock()
}

// pass lets others go first when their turn has come, and waits until it is the caller's again. It returns false when
// ctx or the deadline ended the wait; the caller has no turn then and has left.
func (s *turns) pass(ctx context.Context, deadline time.Time, t *turn, now time.Time) bool {
	s.mu.Lock()
	over := s.running > s.cores
	if !over && now.Sub(t.since) < turnLength {
		s.mu.Unlock()
		return true
	}
	s.endLocked(t, now)
	s.moveUpLocked(t.account, turnLength)
	if !over && s.firstLocked(t.account) {
		s.beginLocked(t, now)
		s.mu.Unlock()
		return true
	}
	at := s.pushLocked(t)
	s.dispatchLocked(now)
	s.mu.Unlock()
	return s.wait(ctx, deadline, t, at, now)
}

// firstLocked tells whether a guest of a may go on before all that wait.
func (s *turns) firstLocked(a *account) bool {
	return len(s.queue) == 0 || a.waiters.Len() == 0 && a.virtual < s.queue[0].virtual
}

func (s *turns) beginLocked(t *turn, now time.Time) {
	s.running++
	s.clock = max(s.clock, t.account.virtual)
	t.has, t.since = true, now
}

func (s *turns) endLocked(t *turn, now time.Time) {
	s.running--
	if t.ahead {
		s.ahead--
		t.ahead = false
	}
	ran := max(now.Sub(t.since), 0)
	t.has = false
	t.used += ran
	s.chargeLocked(t.account, ran)
}

func (s *turns) chargeLocked(a *account, d time.Duration) {
	a.cpu.Add(int64(d))
	a.virtual += d
	if a.waiters.Len() > 0 {
		heap.Fix(&s.queue, a.at)
	}
}

// comeLocked takes note of a guest that is to run.
func (s *turns) comeLocked(a *account) {
	if a.guests == 0 {
		s.active++
	}
	s.moveUpLocked(a, 0)
	a.guests++
}

// moveUpLocked takes from an account what it is owed but for some time, unless its guests wait for it.
func (s *turns) moveUpLocked(a *account, but time.Duration) {
	if a.waiters.Len() == 0 {
		a.virtual = max(a.virtual, s.clock-but)
	}
}

// partLocked takes note that a guest neither runs nor waits any more.
func (s *turns) partLocked(a *account) {
	if a.guests--; a.guests == 0 {
		s.active--
	}
}

func (s *turns) pushLocked(t *turn) *list.Element {
	if t.ready == nil {
		t.ready = make(chan struct{}, 1)
	}
	s.waiting++
	at := t.account.waiters.PushBack(t)
	if t.account.waiters.Len() == 1 {
		heap.Push(&s.queue, t.account)
	}
	return at
}

// removeLocked takes a guest out of its queue.
func (s *turns) removeLocked(a *account, at *list.Element) {
	s.waiting--
	a.waiters.Remove(at)
	if a.waiters.Len() == 0 {
		heap.Remove(&s.queue, a.at)
	}
}

// dispatchLocked gives free cores to those who wait.
func (s *turns) dispatchLocked(now time.Time) {
	for s.running < s.cores && len(s.queue) > 0 {
		a := s.queue[0]
		front := a.waiters.Front()
		t, _ := front.Value.(*turn)
		s.removeLocked(a, front)
		s.beginLocked(t, now)
		t.ready <- struct{}{}
	}
}

// wait waits for the turn of t, which stands at at in its queue since the time from.
func (s *turns) wait(ctx context.Context, deadline time.Time, t *turn, at *list.Element, from time.Time) bool {
	background.Rest(ctx)
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-t.ready:
		background.Look(ctx)
		t.since = time.Now() // it begins when it runs, not when it was granted
		t.waited += t.since.Sub(from)
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-t.ready: // granted meanwhile
		t.since = now
		s.endLocked(t, now)
		s.dispatchLocked(now)
	default:
		s.removeLocked(t.account, at)
	}
	s.partLocked(t.account)
	t.waited += now.Sub(from)
	return false
}

// accountHeap is a heap of accounts with guests that wait, the one whose guests ran shortest first.
type accountHeap []*account

// Len implements heap.Interface.
func (h *accountHeap) Len() int { return len(*h) }

// Less implements heap.Interface.
func (h *accountHeap) Less(i, k int) bool { return (*h)[i].virtual < (*h)[k].virtual }

// Swap implements heap.Interface.
func (h *accountHeap) Swap(i, k int) {
	l := *h
	l[i], l[k] = l[k], l[i]
	l[i].at, l[k].at = i, k
}

// Push implements heap.Interface.
func (h *accountHeap) Push(x any) {
	a, _ := x.(*account)
	a.at = len(*h)
	*h = append(*h, a)
}

// Pop implements heap.Interface.
func (h *accountHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	*h = old[:len(old)-1]
	return a
}
