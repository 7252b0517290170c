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
				s := newTurns(cores, behind{})
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
		s := newTurns(2, behind{})
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
		s := newTurns(1, behind{})
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
		s := newTurns(2, behind{})
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
			s := newTurns(cores, behind{})
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

// What a tenant did not want is not owed to it, also when it always wanted a little: one that comes with much more has its share and
// not what it left before.
func TestTurnsSaveNothingUp(t *testing.T) {
	for name, c := range map[string]struct {
		cores int
		light func(ctx context.Context, s *turns, a *account)
		n     int
	}{
		"short calls that overlap": {2, blink, 10},
		"one guest":                {3, spin, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTurns(c.cores, behind{})
				ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
				defer cancel()
				var wg sync.WaitGroup
				heavy, light := s.account("heavy"), s.account("light")
				for range 20 {
					wg.Go(func() { spin(ctx, s, heavy) })
				}
				for range c.n {
					wg.Go(func() { c.light(ctx, s, light) })
				}
				time.Sleep(5 * time.Second)
				for range 20 {
					wg.Go(func() { spin(ctx, s, light) })
				}
				before := heavy.cpu.Load()
				time.Sleep(time.Second)
				had := time.Duration(heavy.cpu.Load() - before)
				if share := had.Seconds() / float64(c.cores); share < 0.48 || share > 0.55 {
					t.Errorf("the other one had %.3f of the cores in the next second, want a half", share)
				}
				cancel()
				wg.Wait()
				wantIdle(t, s)
			})
		})
	}
}

// blink makes short calls with pauses for a tenant until ctx ends.
func blink(ctx context.Context, s *turns, a *account) {
	for ctx.Err() == nil {
		t := &turn{account: a}
		if !s.enter(ctx, time.Now().Add(time.Hour), t, time.Now()) {
			return
		}
		time.Sleep(20 * time.Microsecond)
		s.leave(t, time.Now())
		time.Sleep(300 * time.Microsecond)
	}
}

// Whatever tenants did before, little or much or nothing, when all want everything each has an equal share from then on, and one that comes
// then waits for a turn of each of the others at most.
func TestTurnsComeToEqualShares(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const before, window = 150 * time.Millisecond, 150 * time.Millisecond
		cores := rapid.IntRange(1, 4).Draw(rt, "cores")
		guests := rapid.SliceOfN(rapid.IntRange(0, 6), 2, 4).Draw(rt, "guests")
		short := rapid.SliceOfN(rapid.Bool(), len(guests), len(guests)).Draw(rt, "short")
		synctest.Test(t, func(t *testing.T) {
			s := newTurns(cores, behind{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			early, stop := context.WithTimeout(ctx, before)
			defer stop()
			var wg sync.WaitGroup
			accounts := make([]*account, len(guests))
			for i, n := range guests {
				accounts[i] = s.account(string(rune('a' + i)))
				for range n {
					if short[i] {
						wg.Go(func() { blink(early, s, accounts[i]) })
					} else {
						wg.Go(func() { spin(early, s, accounts[i]) })
					}
				}
			}
			time.Sleep(before)
			had := make([]int64, len(guests))
			for i, a := range accounts {
				for range 2 * cores {
					wg.Go(func() { spin(ctx, s, a) })
				}
				had[i] = a.cpu.Load()
			}
			time.Sleep(window)
			want := window * time.Duration(cores) / time.Duration(len(guests))
			for i, a := range accounts {
				got := time.Duration(a.cpu.Load() - had[i])
				if lost := want - got; lost > time.Duration(cores+2)*(turnLength+step) {
					t.Errorf("on %d cores after %v (short %v): tenant %d had %v, want %v", cores, guests, short, i, got, want)
				}
			}
			late := &turn{account: s.account("late")}
			began := time.Now()
			if !s.enter(ctx, began.Add(time.Hour), late, began) {
				t.Fatal("the turn never came")
			}
			if waited, most := time.Since(began), time.Duration(len(guests))*(turnLength+step); waited > most {
				t.Errorf("who came late waited for %v, want at most %v", waited, most)
			}
			s.leave(late, time.Now())
			cancel()
			wg.Wait()
			wantIdle(t, s)
		})
	})
}

// behind has the names of tenants that are behind.
type behind map[string]bool

func (b behind) Split() bool               { return len(b) > 0 }
func (b behind) Behind(tenant string) bool { return b[tenant] }

// While tenants are behind, guests of others find a core at once, as many as there are cores; those behind make room.
func TestTurnsGoAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cores = 2
		s := newTurns(cores, behind{"busy": true})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		busy, other := s.account("busy"), s.account("other")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { spin(ctx, s, busy) })
		}
		wg.Go(func() { spin(ctx, s, s.account("third")) }) // the busy one is not alone
		time.Sleep(time.Second)
		deadline := time.Now().Add(time.Minute)
		guests := make([]turn, cores)
		for i := range guests {
			guests[i].account = other
			came := time.Now()
			if !s.enter(ctx, deadline, &guests[i], came) {
				t.Fatal("it did not come to its turn")
			}
			if i == 0 && time.Since(came) > 0 {
				t.Errorf("a guest of a tenant that is not behind waited for %v", time.Since(came))
			}
		}
		time.Sleep(time.Millisecond)
		for i := range guests {
			s.leave(&guests[i], time.Now())
		}
		cancel()
		wg.Wait()
		wantIdle(t, s)
		if s.ahead != 0 {
			t.Errorf("%d turns are said to have gone ahead", s.ahead)
		}
	})
}

// Where nobody is behind, a guest that finds no core waits, whoever it is.
func TestTurnsWithoutRanks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1, behind{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { spin(ctx, s, s.account("busy")) })
		time.Sleep(time.Second)
		other := turn{account: s.account("other")}
		came := time.Now()
		if !s.enter(ctx, came.Add(time.Minute), &other, came) || time.Since(came) == 0 {
			t.Error("it did not wait")
		}
		s.leave(&other, time.Now())
		cancel()
		wg.Wait()
		wantIdle(t, s)
	})
}
