package sandbox

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// step is what a guest does between two yields.
const step = 150 * time.Microsecond

// spin runs a guest for a tenant until ctx ends. It stands for a guest that computes: it sleeps while it has a turn.
func spin(ctx context.Context, s *turns, a *account) {
	t := &turn{account: a}
	if !s.enter(ctx, time.Now().Add(time.Hour), t, time.Now()) {
		return
	}
	for ctx.Err() == nil {
		time.Sleep(step)
		if !s.pass(ctx, time.Now().Add(time.Hour), t, time.Now()) {
			return
		}
	}
	s.leave(t, time.Now())
}

// wantIdle makes sure that nothing is left over.
func wantIdle(t *testing.T, s *turns) {
	t.Helper()
	if s.running != 0 || s.waiting != 0 || s.active != 0 || len(s.queue) != 0 {
		t.Errorf("left over: %d running, %d waiting, %d active, %d queued", s.running, s.waiting, s.active, len(s.queue))
	}
}

// Tenants share the cores evenly, however many guests each of them has, and no more guests run than there are cores.
func TestTurnsAreFair(t *testing.T) {
	for name, guests := range map[string][]int{
		"one each": {1, 1}, "many against one": {20, 1}, "many against many": {50, 3}, "three tenants": {9, 4, 2}, "alone": {7},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const cores, run = 2, 2 * time.Second
				s := newTurns(cores)
				ctx, cancel := context.WithTimeout(t.Context(), run)
				defer cancel()
				var wg sync.WaitGroup
				var accounts []*account
				for i, n := range guests {
					a := s.account(string(rune('a' + i)))
					accounts = append(accounts, a)
					for range n {
						wg.Go(func() { spin(ctx, s, a) })
					}
				}
				wg.Wait()
				wantIdle(t, s)
				total := time.Duration(0)
				for i, a := range accounts {
					got := time.Duration(a.cpu.Load())
					total += got
					want := min(run*cores/time.Duration(len(guests)), run*time.Duration(guests[i]))
					if got < want*97/100 {
						t.Errorf("tenant %d of %v had a core for %v, want %v", i, guests, got, want)
					}
				}
				if most := run*cores + 100*time.Millisecond; total > most {
					t.Errorf("all together ran for %v, want at most %v", total, most)
				}
			})
		})
	}
}

// A short call of a tenant waits for about one turn, whatever another tenant has running.
func TestTurnsLetShortCallsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(2)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { spin(ctx, s, s.account("busy")) })
		}
		var worst time.Duration
		for range 200 {
			time.Sleep(3 * time.Millisecond)
			guest := &turn{account: s.account("short")}
			began := time.Now()
			if !s.enter(ctx, began.Add(time.Hour), guest, began) {
				t.Fatal("the turn never came")
			}
			worst = max(worst, time.Since(began))
			time.Sleep(10 * time.Microsecond)
			s.leave(guest, time.Now())
		}
		cancel()
		wg.Wait()
		wantIdle(t, s)
		if worst > turnLength+step {
			t.Errorf("a short call waited for %v, want at most %v", worst, turnLength+step)
		}
	})
}

// A tenant that did nothing for long is not owed that time.
func TestTurnsForgiveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		late := s.account("late")
		var wg sync.WaitGroup
		wg.Go(func() { spin(ctx, s, s.account("early")) })
		time.Sleep(10 * time.Second)
		wg.Go(func() { spin(ctx, s, late) })
		time.Sleep(time.Second)
		if got := time.Duration(late.cpu.Load()); got < 480*time.Millisecond || got > 520*time.Millisecond {
			t.Errorf("after a second side by side it had %v, want a half", got)
		}
		cancel()
		wg.Wait()
		wantIdle(t, s)
	})
}

// Guests of a tenant that is alone all run; once they have run for long they wait for each other.
func TestTurnsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(2)
		a := s.account("a")
		guests := make([]turn, 10)
		for i := range guests {
			guests[i].account = a
			if !s.enter(t.Context(), time.Now().Add(time.Hour), &guests[i], time.Now()) {
				t.Fatal("a guest of a tenant that is alone waits")
			}
		}
		time.Sleep(step)
		passed := make([]bool, len(guests))
		var wg sync.WaitGroup
		for i := range guests {
			wg.Go(func() { passed[i] = s.pass(t.Context(), time.Now().Add(time.Minute), &guests[i], time.Now()) })
		}
		synctest.Wait()
		s.mu.Lock()
		if s.running != s.cores || s.waiting != len(guests)-s.cores {
			t.Errorf("%d guests run and %d wait, want %d and the rest", s.running, s.waiting, s.cores)
		}
		s.mu.Unlock()
		wg.Wait() // those that wait run out of time
		for i := range guests {
			if passed[i] != guests[i].has {
				t.Errorf("guest %d: got passed %v, has a turn %v", i, passed[i], guests[i].has)
			}
			if guests[i].has {
				s.leave(&guests[i], time.Now())
			}
		}
		wantIdle(t, s)
	})
}

// Guests come, yield, give up and go in any order: the books are right, nobody waits while a core is free, and no more run
// than there are cores unless a tenant is alone.
func TestTurnsKeepTheBooks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cores := rapid.IntRange(1, 3).Draw(rt, "cores")
		type guest struct {
			tenant string
			starts time.Duration
			steps  int
			gives  time.Duration // up waiting
		}
		var guests []guest
		for range rapid.IntRange(1, 12).Draw(rt, "guests") {
			guests = append(guests, guest{
				tenant: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "tenant"),
				starts: time.Duration(rapid.IntRange(0, 5000).Draw(rt, "starts")) * time.Microsecond,
				steps:  rapid.IntRange(0, 40).Draw(rt, "steps"),
				gives:  time.Duration(rapid.IntRange(1, 20000).Draw(rt, "gives")) * time.Microsecond,
			})
		}
		synctest.Test(t, func(t *testing.T) {
			s := newTurns(cores)
			var wg sync.WaitGroup
			for _, g := range guests {
				wg.Go(func() {
					time.Sleep(g.starts)
					turn := &turn{account: s.account(g.tenant)}
					deadline := time.Now().Add(g.gives)
					if !s.enter(t.Context(), deadline, turn, time.Now()) {
						return
					}
					for range g.steps {
						time.Sleep(step)
						if !s.pass(t.Context(), deadline, turn, time.Now()) {
							return
						}
					}
					s.leave(turn, time.Now())
				})
			}
			for range 200 {
				time.Sleep(100*time.Microsecond + time.Nanosecond)
				synctest.Wait()
				s.mu.Lock()
				if s.waiting > 0 && s.running < cores {
					t.Errorf("%d guests wait while %d of %d cores are in use", s.waiting, s.running, cores)
				}
				s.mu.Unlock()
			}
			wg.Wait()
			wantIdle(t, s)
		})
	})
}
