package background

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/internal/schedclass"
)

// moves counts what a scheduler would have done to threads.
type moves struct{ idle, normal atomic.Int64 }

func (m *moves) move(c schedclass.Class) error {
	if c == schedclass.Idle {
		m.idle.Add(1)
	} else {
		m.normal.Add(1)
	}
	return nil
}

// noPulse is for schedulers of which nobody looks when the system looks.
func noPulse(time.Duration) error { return nil }

// occupy has n goroutines work for a tenant until the function that it returns is called; each looks every millisecond.
func occupy(s *Scheduler, tenant string, n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	for range n {
		go func() {
			ctx, task := s.Begin(ctx, tenant)
			tick := time.NewTicker(time.Millisecond)
			for ctx.Err() == nil {
				<-tick.C
				Look(ctx)
			}
			tick.Stop()
			task.End()
			ended <- struct{}{}
		}()
	}
	return func() {
		cancel()
		for range n {
			<-ended
		}
	}
}

// call works for a tenant for some time, without looking.
func call(s *Scheduler, tenant string, d time.Duration) {
	_, task := s.Begin(context.Background(), tenant)
	<-time.After(d)
	task.End()
}

func TestBusyTenantGoesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m moves
		var told []string
		var s *Scheduler
		s = newScheduler(Config{Cores: 2, Changed: func(tenant string) { told = append(told, fmt.Sprint(tenant, s.Behind(tenant))) }}, m.move, noPulse)
		stop := occupy(s, "busy", 8)
		<-time.After(time.Second)
		if s.Behind("busy") || s.Split() || m.idle.Load() > 0 {
			t.Fatal("a tenant that is alone is behind")
		}
		for range 100 { // a quarter of a core
			call(s, "quiet", 2500*time.Microsecond)
			<-time.After(7500 * time.Microsecond)
		}
		if !s.Behind("busy") || s.Behind("quiet") || !s.Split() || s.Count() != 1 {
			t.Errorf("busy is behind: %v, quiet: %v, %d in all", s.Behind("busy"), s.Behind("quiet"), s.Count())
		}
		if idle := m.idle.Load(); idle != 8 || m.normal.Load() != 0 {
			t.Errorf("%d of 8 threads are idle, %d came back", idle, m.normal.Load())
		}
		<-time.After(5 * time.Second) // the quiet one is forgotten
		if s.Behind("busy") || s.Split() || m.normal.Load() != 8 {
			t.Errorf("with nobody else there busy is behind: %v; %d of 8 threads came back", s.Behind("busy"), m.normal.Load())
		}
		stop()
		if want := []string{"busytrue", "busyfalse"}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

// TestWhoComesWithMuchIsFoundSoon has a tenant begin with twice as many goroutines as there are cores beside one that has a call at a time.
func TestWhoComesWithMuchIsFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error { return nil }, noPulse)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				call(s, "quiet", 2500*time.Microsecond)
				<-time.After(7500 * time.Microsecond)
			}
		}()
		<-time.After(501 * time.Millisecond)
		stop := occupy(s, "busy", 4)
		<-time.After(5 * time.Millisecond)
		if !s.Behind("busy") || s.Behind("quiet") {
			t.Errorf("after 5 ms busy is behind: %v, quiet: %v", s.Behind("busy"), s.Behind("quiet"))
		}
		<-done
		stop()
	})
}

// TestPulse sees that it is asked for while somebody is behind, for as long as judgements may be apart, and not otherwise.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var beats atomic.Int64
		s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error { return nil }, func(d time.Duration) error {
			if d != pulseFor {
				t.Errorf("it was asked for %v", d)
			}
			beats.Add(1)
			return nil
		})
		stop := occupy(s, "busy", 8)
		<-time.After(time.Second)
		if n := beats.Load(); n != 0 {
			t.Fatalf("it was asked for %d times beside nobody", n)
		}
		for range 100 {
			call(s, "quiet", time.Millisecond)
			<-time.After(9 * time.Millisecond)
		}
		if n := beats.Load(); n < 100 {
			t.Errorf("it was asked for %d times in a second", n)
		}
		stop()
		<-time.After(time.Second)
		s.judge()
		last := beats.Load()
		for range 100 {
			call(s, "quiet", time.Millisecond)
			<-time.After(9 * time.Millisecond)
		}
		if n := beats.Load() - last; n != 0 {
			t.Errorf("it was asked for %d times when nobody was behind any more", n)
		}
	})
}

// TestNoPulse sees that threads move without one too, and that it is said once.
func TestNoPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m moves
		var log bytes.Buffer
		asked := 0
		s := newScheduler(Config{Cores: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))}, m.move, func(time.Duration) error {
			asked++
			return errors.New("not today")
		})
		stop := occupy(s, "busy", 8)
		for range 100 {
			call(s, "quiet", time.Millisecond)
			<-time.After(9 * time.Millisecond)
		}
		if asked != 1 || strings.Count(log.String(), "not today") != 1 {
			t.Errorf("it was asked %d times, and the log has %q", asked, log.String())
		}
		if m.idle.Load() == 0 {
			t.Error("no thread went to the idle class")
		}
		stop()
		if idle, back := m.idle.Load(), m.normal.Load(); idle != back {
			t.Errorf("%d threads went to the idle class, %d came back", idle, back)
		}
	})
}

// TestLookYields sees how often what computes lets Go's scheduler look what else there is, whether it is behind or not.
func TestLookYields(t *testing.T) {
	for _, behind := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			yielded := 0
			s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error { return nil }, noPulse)
			s.yield = func() { yielded++ }
			s.tenants["busy"] = &account{s: s, tenant: "busy"}
			s.tenants["busy"].behind.Store(behind)
			s.judged.Store(int64(time.Hour)) // it stays as it is put here
			_, task := s.Begin(t.Context(), "busy")
			for range 10_000 {
				task.Look()
				<-time.After(time.Microsecond)
			}
			task.End()
			if want := int(10*time.Millisecond/yieldEach) - 1; yielded != want && yielded != want+1 {
				t.Errorf("behind %v: it yielded %d times in 10 ms, want %d", behind, yielded, want)
			}
		})
	}
}

// TestYielding sees that what computes yields where threads cannot be moved, and that nobody is behind then.
func TestYielding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		yielded := 0
		s := Yielding()
		s.yield = func() { yielded++ }
		ctx, task := s.Begin(t.Context(), "busy")
		ctx, forked := Fork(ctx)
		for range 10_000 {
			Look(ctx)
			Rest(ctx)
			<-time.After(time.Microsecond)
		}
		if want := int(10*time.Millisecond/yieldEach) - 1; yielded != want && yielded != want+1 {
			t.Errorf("it yielded %d times in 10 ms, want %d", yielded, want)
		}
		if s.Split() || s.Behind("busy") || !Room(ctx) {
			t.Error("somebody is behind")
		}
		forked.End()
		task.End()
	})
}

func TestEqualTenantsAreNotBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m moves
		s := newScheduler(Config{Cores: 2}, m.move, noPulse)
		stop, stopOther := occupy(s, "one", 8), occupy(s, "other", 8)
		<-time.After(3 * time.Second)
		if s.Behind("one") || s.Behind("other") || m.idle.Load() > 0 {
			t.Error("of two that want equally much one is behind")
		}
		stop()
		stopOther()
	})
}

// TestFirstTakeHalf makes up loads: those that go first want half of the cores at most, and nobody is behind who wants less than one that is not.
func TestFirstTakeHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.IntRange(1, 64).Draw(t, "cores")
		s := newScheduler(Config{Cores: cores}, func(schedclass.Class) error { return nil }, noPulse)
		loads := rapid.SliceOfN(rapid.Float64Range(forgotten, 100), 1, 20).Draw(t, "loads")
		sum := 0.0
		for i, load := range loads {
			s.tenants[fmt.Sprint(i)] = &account{s: s, load: load, tasks: 1}
			sum += load
		}
		s.judgeLocked(0)
		first, most, least := 0.0, 0.0, math.Inf(1)
		for _, a := range s.tenants {
			if a.behind.Load() {
				least = min(least, a.load)
			} else {
				first += a.load
				most = max(most, a.load)
			}
		}
		half := float64(cores) / 2
		if !math.IsInf(least, 1) {
			if first > half+1e-9 {
				t.Fatalf("those that go first want %g of %g", first, half)
			}
			if first == 0 {
				t.Fatal("all are behind, nobody is before them")
			}
		}
		if least < most {
			t.Fatalf("one with %g is behind and one with %g is not", least, most)
		}
		if sum <= half && !math.IsInf(least, 1) {
			t.Fatalf("there is enough for all and one is behind")
		}
	})
}

func TestTenantsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error { return nil }, noPulse)
		for i := range 1000 {
			call(s, fmt.Sprint(i), time.Millisecond)
		}
		<-time.After(10 * time.Second)
		call(s, "last", time.Millisecond)
		if n := len(s.tenants); n != 1 {
			t.Errorf("%d tenants are known", n)
		}
	})
}

func TestThreadsThatCannotBeMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error {
			tries.Add(1)
			return errors.New("not today")
		}, noPulse)
		stop := occupy(s, "busy", 8)
		for range 100 {
			call(s, "quiet", time.Millisecond)
			<-time.After(9 * time.Millisecond)
		}
		stop()
		if n := tries.Load(); n == 0 || n > 8 {
			t.Errorf("%d tries", n)
		}
	})
}

// TestThreadsAreBounded has more goroutines behind than there may be threads.
func TestThreadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m moves
		s := newScheduler(Config{Cores: 2}, m.move, noPulse)
		stop := occupy(s, "busy", mostThreads+100)
		for range 4 {
			call(s, "quiet", time.Millisecond)
			<-time.After(9 * time.Millisecond)
		}
		if n := m.idle.Load() - m.normal.Load(); n != mostThreads {
			t.Errorf("%d threads are held, want %d", n, mostThreads)
		}
		stop()
		if n := m.idle.Load() - m.normal.Load(); n != 0 || s.held.Load() != 0 {
			t.Errorf("%d threads are held after the end, %d are counted", n, s.held.Load())
		}
	})
}

func TestNoScheduler(t *testing.T) {
	var s *Scheduler
	ctx, task := s.Begin(t.Context(), "tenant")
	Look(ctx)
	_, other := Fork(ctx)
	other.End()
	task.End()
	if s.Behind("tenant") || s.Split() || s.Count() != 0 {
		t.Error("somebody is behind")
	}
}

func BenchmarkTask(b *testing.B) {
	s := newScheduler(Config{Cores: 2}, func(schedclass.Class) error { return nil }, noPulse)
	for b.Loop() {
		_, task := s.Begin(b.Context(), "tenant")
		task.End()
	}
}
