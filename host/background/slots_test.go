package background

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/internal/schedclass"
)

// computing has n goroutines of a compute for a millisecond again and again, until the function that it returns is called, which
// returns how often each did. At the most is how many computed at once.
func computing(s *slots, a *account, n int, now, most *atomic.Int64) (stop func() []int) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int)
	for range n {
		go func() {
			var p place
			times := 0
			for ctx.Err() == nil {
				s.take(a, &p)
				most.Store(max(most.Load(), now.Add(1)))
				<-time.After(time.Millisecond)
				now.Add(-1)
				times++
			}
			s.give(&p)
			ended <- times
		}()
	}
	return func() (times []int) {
		cancel()
		for range n {
			times = append(times, <-ended)
		}
		return times
	}
}

func TestAsManyComputeAsThereAreCores(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		cores, n := rapid.IntRange(1, 4).Draw(r, "cores"), rapid.IntRange(1, 12).Draw(r, "goroutines")
		synctest.Test(t, func(t *testing.T) {
			s := &slots{cores: cores}
			var now, most atomic.Int64
			stop := computing(s, &account{}, n, &now, &most)
			<-time.After(time.Second)
			times := stop()
			if got, want := int(most.Load()), min(cores, n); got != want {
				t.Errorf("%d of %d goroutines computed at once on %d cores", got, n, cores)
			}
			fair := 1000 * min(cores, n) / n
			for _, got := range times {
				if math.Abs(float64(got-fair)) > float64(fair)/10 {
					t.Errorf("%d goroutines on %d cores computed %v times in a second, want %d each", n, cores, times, fair)
					break
				}
			}
			if len(s.holders) != 0 || len(s.line) != 0 {
				t.Errorf("in the end %d hold slots, and %d tenants wait", len(s.holders), len(s.line))
			}
		})
	})
}

func TestTenantsGetSlotsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slots{cores: 1}
		var now, most atomic.Int64
		many, one := computing(s, &account{}, 7, &now, &most), computing(s, &account{}, 1, &now, &most)
		<-time.After(time.Second)
		if got := one()[0]; got < 450 || got > 550 {
			t.Errorf("one goroutine beside seven of another tenant computed %d times of 1000, want half of them", got)
		}
		many()
	})
}

// One who waits for something and has not said so does not make others wait for long.
func TestSlotsAreLeased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := &slots{cores: 1}, &account{}
		var stuck, other place
		s.take(a, &stuck)
		begin := time.Now()
		s.take(a, &other)
		if waited := time.Since(begin); waited != lease {
			t.Errorf("the second waited %v for a slot that the first does not use, want %v", waited, lease)
		}
		if stuck.has || !other.has {
			t.Error("the first has its slot still")
		}
		s.give(&stuck) // it has none to give
		if !other.has || len(s.holders) != 1 {
			t.Error("the first has given the slot of the second")
		}
		s.give(&other)
	})
}

// A goroutine that rests lets another compute at once.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(Config{Cores: 1}, func(schedclass.Class) error { return nil }, noPulse)
		begin := func() (context.Context, *Task) {
			ctx, task := s.Begin(t.Context(), "busy")
			task.account.behind.Store(true)
			s.judged.Store(math.MaxInt64 / 2) // it stays so
			return ctx, task
		}
		first, task := begin()
		Look(first)
		got := make(chan struct{})
		go func() {
			second, task := begin()
			Look(second)
			close(got)
			Rest(second)
			task.End()
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("two compute on one core")
		default:
		}
		Rest(first)
		synctest.Wait()
		select {
		case <-got:
		default:
			t.Error("the first rests, and the second does not compute")
		}
		task.End()
	})
}

// TestWhoIsSlowedDownStaysFirst: a tenant whose calls take longer because of a busy one has more at work, and goes first all the same.
func TestWhoIsSlowedDownStaysFirst(t *testing.T) {
	s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error { return nil }, noPulse)
	busy, quiet := &account{s: s, load: 8, tasks: 8}, &account{s: s, load: 0.2, tasks: 1}
	s.tenants["busy"], s.tenants["quiet"] = busy, quiet
	for _, step := range []struct {
		load   float64
		behind bool
	}{
		{0.6, false}, // it comes as one of two that want more than half
		{0.2, true},
		{0.6, true},
		{0.9, true},
		{1.1, false}, // it wants a core of the two for itself
		{0.9, false},
		{0.4, true},
	} {
		quiet.load = step.load
		s.judgeLocked(0)
		if quiet.behind.Load() || busy.behind.Load() != step.behind {
			t.Errorf("with a load of %g beside %g: busy is behind: %v, want %v; quiet: %v", step.load, busy.load, busy.behind.Load(), step.behind, quiet.behind.Load())
		}
	}
}

// What comes with much at once is behind before it is felt.
func TestBurstsAreFoundOutSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error { return nil }, noPulse)
		for range 20 {
			call(s, "quiet", time.Millisecond)
			<-time.After(9 * time.Millisecond)
		}
		stop := occupy(s, "busy", 4)
		<-time.After(15 * time.Millisecond)
		if !s.Behind("busy") {
			t.Error("four goroutines on two cores are not behind after 15 ms")
		}
		stop()
	})
}
