package plan_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners/plan"
)

// client wants runs of a seat.
type client struct {
	seat    *plan.Seat
	wants   int
	running int
}

// step has runs come, one end, or those that wait leave.
func (c *client) step(t *rapid.T) {
	switch {
	case rapid.Bool().Draw(t, "comes"):
		c.wants += rapid.IntRange(1, 3).Draw(t, "runs")
		c.wake()
	case c.running > 0:
		c.running--
		c.seat.Give()
		c.wake()
	default:
		c.wants = 0 // who waits leaves
	}
}

func (c *client) wake() {
	for c.wants > 0 && c.seat.Take() {
		c.wants--
		c.running++
	}
}

// Every model may have what it is guaranteed at any time, no more than the cores run beyond that, and nobody waits while there is
// room.
func TestGate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.IntRange(1, 6).Draw(t, "cores")
		gate := &plan.Gate{}
		gate.Set(plan.Machine{Cores: float64(cores)})
		clients := make([]*client, rapid.IntRange(1, 6).Draw(t, "models"))
		guaranteed := make([]int, len(clients))
		sum := 0
		for i := range clients {
			c := &client{}
			c.seat = gate.Seat(plan.CPU, "ada", c.wake)
			clients[i] = c
			guaranteed[i] = rapid.IntRange(1, min(2, cores)).Draw(t, "guaranteed")
			c.seat.Keep(&plan.Share{Guaranteed: guaranteed[i]})
			sum += guaranteed[i]
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := clients[rapid.IntRange(0, len(clients)-1).Draw(t, "model")]
			c.step(t)
			running := 0
			for i, c := range clients {
				running += c.running
				if c.wants > 0 && c.running < guaranteed[i] {
					t.Fatalf("model %d waits with %d runs, it is guaranteed %d", i, c.running, guaranteed[i])
				}
			}
			if got := gate.Running(plan.CPU); got != running {
				t.Fatalf("the gate counts %d runs, there are %d", got, running)
			}
			if running > cores+sum-slices.Min(guaranteed) {
				t.Fatalf("%d runs on %d cores with %d guaranteed", running, cores, sum)
			}
			for i, c := range clients {
				if c.wants > 0 && running < cores {
					t.Fatalf("model %d waits while %d of %d cores are used", i, running, cores)
				}
			}
		}
	})
}

// What is free goes to those who wait in the order in which they came, not to who just gave it back.
func TestGateTakesTurns(t *testing.T) {
	t.Parallel()
	gate := &plan.Gate{}
	gate.Set(plan.Machine{Cores: 3})
	a, b := &client{}, &client{}
	a.seat, b.seat = gate.Seat(plan.CPU, "ada", a.wake), gate.Seat(plan.CPU, "ada", b.wake)
	a.wants, b.wants = 10, 10
	a.wake()
	b.wake()
	for range 5 {
		if n := a.running + b.running; n != 3 && n != 4 { // b's first came when a had all three
			t.Fatalf("%d and %d runs on 3 cores", a.running, b.running)
		}
		a.running--
		a.seat.Give()
		a.wake()
	}
	if a.running == 0 || b.running < 2 {
		t.Errorf("got %d and %d runs, want some of what a gave back to be b's", a.running, b.running)
	}
	// Accelerators have room of their own.
	c := &client{wants: 5}
	c.seat = gate.Seat("cuda:0", "ada", c.wake)
	c.wake()
	if c.running != 2 {
		t.Errorf("%d runs on a device, want 2", c.running)
	}
	c.seat.Close()
}

// TestGateHammer looks for races and lost wake-ups: all that is wanted gets done.
func TestGateHammer(t *testing.T) {
	t.Parallel()
	gate := &plan.Gate{}
	gate.Set(plan.Machine{Cores: 2})
	const models, each = 8, 300
	var done, most atomic.Int64
	var all sync.WaitGroup
	for range models {
		var mu sync.Mutex
		left := each
		var seat *plan.Seat
		var try func()
		run := func() {
			for n := int64(gate.Running(plan.CPU)); ; {
				if was := most.Load(); n <= was || most.CompareAndSwap(was, n) {
					break
				}
			}
			done.Add(1)
			seat.Give()
			try()
		}
		try = func() {
			mu.Lock()
			defer mu.Unlock()
			for left > 0 && seat.Take() {
				left--
				all.Go(run)
			}
		}
		seat = gate.Seat(plan.CPU, "ada", func() { try() })
		all.Go(try)
	}
	all.Wait()
	if got := done.Load(); got != models*each {
		t.Errorf("%d runs were done, want %d", got, models*each)
	}
	if got := most.Load(); got > models+2-1 {
		t.Errorf("%d runs at once of %d models on 2 cores", got, models)
	}
}
