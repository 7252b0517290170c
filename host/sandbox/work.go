package sandbox

import (
	"context"
	"time"

	"github.com/tandem-serve/tandem/host/background"
)

// What the host does for a guest is its tenant's as well: writing requests, checking and copying answers, making instances and
// resetting them. Small pieces are done during the guest's turn. Go cannot be made to pause a large one for others' turns, so
// it is done beside the turns, as many at once as the tenant's share of the cores, and its time is charged afterwards: the next
// turns of the tenant come later.

// largeWork is how many bytes the host looks at or copies for a guest during its turn: at 200 MB/s, which is JSON, that takes
// about as long as a turn.
const largeWork = 256 << 10

// work does f for a tenant when fewer than its share of such pieces go on, and charges the time. It returns how long f took,
// and false when ctx or the deadline ended the wait for it.
func (s *turns) work(ctx context.Context, deadline time.Time, a *account, f func()) (took time.Duration, ok bool) {
	s.mu.Lock()
	s.comeLocked(a)
	if a.working < s.shareLocked() {
		a.working++
		s.mu.Unlock()
	} else {
		ready := make(chan struct{}, 1)
		at := a.bench.PushBack(ready)
		s.mu.Unlock()
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		select {
		case <-ready:
			ok = true
		case <-ctx.Done():
		case <-timer.C:
		}
		if !ok {
			s.mu.Lock()
			defer s.mu.Unlock()
			select {
			case <-ready: // granted meanwhile
				a.working--
				s.seatLocked(a)
			default:
				a.bench.Remove(at)
			}
			s.partLocked(a)
			return 0, false
		}
	}
	began := time.Now()
	f()
	took = time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.working--
	s.chargeLocked(a, took)
	s.seatLocked(a)
	s.partLocked(a)
	return took, true
}

// shareLocked is how many large pieces of work are done for one tenant at once.
func (s *turns) shareLocked() int { return max(1, s.cores/max(1, s.active)) }

// seatLocked lets those begin that wait on a tenant's bench, as far as its share goes.
func (s *turns) seatLocked(a *account) {
	for a.bench.Len() > 0 && a.working < s.shareLocked() {
		front := a.bench.Front()
		ready, _ := front.Value.(chan struct{})
		a.bench.Remove(front)
		a.working++
		ready <- struct{}{}
	}
}

// charge adds time that the host has worked for a tenant.
func (s *turns) charge(a *account, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moveUpLocked(a, 0)
	s.chargeLocked(a, took)
}

// hold waits for a turn, unless the call has one.
func (s *callState) hold(ctx context.Context) *CallError {
	if s.turn.has || s.enter(ctx) {
		return nil
	}
	return s.outOfTime(ctx)
}

// enter waits for a turn. Who is behind has a slot of package background first; the wait for that is no time on a core.
func (s *callState) enter(ctx context.Context) bool {
	background.Look(ctx)
	return s.host.turns.enter(ctx, s.deadline, &s.turn, time.Now())
}

// letGo ends the call's turn, if it has one.
func (s *callState) letGo() {
	if s.turn.has {
		s.host.turns.leave(&s.turn, time.Now())
	}
}

// work does f, which looks at n bytes or copies them, during the call's turn, or, when that would take long, beside the turns.
// The call has a turn afterwards.
func (s *callState) work(ctx context.Context, n int64, f func()) *CallError {
	if n <= largeWork {
		if err := s.hold(ctx); err != nil {
			return err
		}
		f()
		return nil
	}
	s.letGo()
	took, ok := s.host.turns.work(ctx, s.deadline, s.turn.account, f)
	s.turn.used += took
	if !ok {
		return s.outOfTime(ctx)
	}
	return s.hold(ctx)
}

// work is callState.work for a host function: a call that is over meanwhile does not come back.
func (c hostCall) work(n int64, f func()) {
	if c.in.state.work(c.ctx, n, f) != nil {
		c.in.state.end(c.ctx)
	}
}
