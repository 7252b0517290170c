package sandbox

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// piece stands for a large piece of work: it sleeps, and notes how many go on at once.
func piece(now, most *atomic.Int64) func() {
	return func() {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(10 * time.Millisecond)
		now.Add(-1)
	}
}

// As many large pieces of work go on for a tenant as its share of the cores is: all of them while it is alone.
func TestWorkIsSharedOut(t *testing.T) {
	for name, tenants := range map[string]int{"alone": 1, "two": 2, "more than cores": 6} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const cores, pieces = 4, 20
				s := newTurns(cores, behind{})
				most, guests := make([]atomic.Int64, tenants), make([]*turn, tenants)
				var wg sync.WaitGroup
				for i := range tenants {
					a, now := s.account(string(rune('a'+i))), &atomic.Int64{}
					here := &turn{account: a} // the tenant has guests as well
					if tenants <= cores && !s.enter(t.Context(), time.Now().Add(time.Hour), here, time.Now()) {
						t.Fatal("a guest waits while cores are free")
					}
					for range pieces {
						wg.Go(func() {
							if _, ok := s.work(t.Context(), time.Now().Add(time.Hour), a, piece(now, &most[i])); !ok {
								t.Error("a piece of work was not done")
							}
						})
					}
					synctest.Wait()
					guests[i] = here
				}
				wg.Wait()
				for _, g := range guests {
					if g.has {
						s.leave(g, time.Now())
					}
				}
				wantIdle(t, s)
				for i := range most {
					// The first one had begun before the others came.
					if got, want := most[i].Load(), int64(max(1, cores/(i+1))); got != want {
						t.Errorf("tenant %d of %d: %d pieces went on at once, want %d", i, tenants, got, want)
					}
				}
			})
		})
	}
}

// Work that waits ends with its call, and one that was granted at that moment is passed on.
func TestWorkIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1, behind{})
		a := s.account("a")
		var now, most atomic.Int64
		var done, gone atomic.Int64
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 12 {
			wg.Go(func() {
				c, until := t.Context(), time.Now().Add(time.Hour)
				switch i % 3 {
				case 1:
					c = ctx
				case 2:
					until = time.Now().Add(30 * time.Millisecond) // just when a piece ends
				}
				if _, ok := s.work(c, until, a, piece(&now, &most)); ok {
					done.Add(1)
				} else {
					gone.Add(1)
				}
			})
		}
		time.Sleep(25 * time.Millisecond)
		cancel()
		wg.Wait()
		wantIdle(t, s)
		if a.working != 0 || a.bench.Len() != 0 || most.Load() != 1 || done.Load() < 4 || done.Load()+gone.Load() != 12 {
			t.Errorf("%d work, %d wait, %d at once, %d done and %d gone of 12", a.working, a.bench.Len(), most.Load(), done.Load(), gone.Load())
		}
	})
}

// What the host did for a tenant counts like time of its guests: others have turns until they had as much.
func TestWorkIsCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1, behind{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, b := s.account("a"), s.account("b")
		s.charge(a, 200*time.Millisecond)
		var wg sync.WaitGroup
		wg.Go(func() { spin(ctx, s, b) })
		synctest.Wait() // who comes later does not find what was charged before: nobody is owed the time before it came
		wg.Go(func() { spin(ctx, s, a) })
		wg.Wait()
		wantIdle(t, s)
		got, other := time.Duration(a.cpu.Load()), time.Duration(b.cpu.Load())
		if d := got - other; d < -10*time.Millisecond || d > 10*time.Millisecond {
			t.Errorf("with 200 ms of work the tenant had %v in all, the other one %v: want as much", got, other)
		}
	})
}
