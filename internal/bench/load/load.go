// Package load drives a fixed number of callers that each wait for one answer before they ask again (a closed loop), and
// keeps how long the answers took. Loop.Run owns its goroutines and waits for them.
package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Loop is a closed loop.
type Loop struct {
	// Callers is how many calls are under way at any time. Default: 1.
	Callers int
	// Duration is for how long calls are counted. Required.
	Duration time.Duration
	// Warmup goes before; its calls are not counted. Default: none.
	Warmup time.Duration
	// MinCalls keeps the loop going, beyond its Duration, until so many calls were counted: for calls that may take longer than
	// that. Default: 0.
	MinCalls int
	// MaxCalls ends the loop when so many calls have been made, those of the warm-up included. Default: no bound.
	MaxCalls int
	// MaxErrors is how many calls may fail before the loop stops. Default: none may.
	MaxErrors int
}

// Result is what a loop saw. The calls count that ended after the warm-up and within the Duration, whenever they began: the rate
// is then right also where a call takes as long as the loop. Those under way at the end are awaited and not counted.
type Result struct {
	// Latency has the calls that succeeded.
	Latency Histogram
	// Errors counts the calls that failed, which are in no other figure.
	Errors int
	// Elapsed is for how long calls were counted: Duration, or longer for MinCalls.
	Elapsed time.Duration
}

// PerSecond returns the successful calls per second.
func (r *Result) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Latency.Count()) / r.Elapsed.Seconds()
}

// Run runs the loop: every caller, numbered from 0, calls again and again, one call after the other, from a goroutine of
// its own. It returns when all calls have returned. The context of the calls ends with ctx, or when more calls failed than
// MaxErrors allows; in both cases Run returns an error beside what it saw.
func (l Loop) Run(ctx context.Context, call func(ctx context.Context, caller int) error) (*Result, error) {
	began := time.Now()
	s := state{loop: l, from: began.Add(l.Warmup), until: began.Add(l.Warmup + l.Duration)}
	group, ctx := errgroup.WithContext(ctx)
	for caller := range max(l.Callers, 1) {
		group.Go(func() error { return s.caller(ctx, caller, call) })
	}
	err := group.Wait()
	s.result.Elapsed = max(0, min(l.Duration, time.Since(s.from)), s.last.Sub(s.from))
	return &s.result, err
}

// state is one run of a loop.
type state struct {
	loop        Loop
	from, until time.Time
	begun       atomic.Int64 // calls
	counted     atomic.Int64 // those that ended while calls counted

	mu     sync.Mutex // guards the following
	result Result
	last   time.Time // when the last call that was counted ended
	failed int       // of all calls, those of the warm-up included
}

func (s *state) caller(ctx context.Context, caller int, call func(context.Context, int) error) error {
	var h Histogram
	var last time.Time
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.result.Latency.Merge(&h)
		if last.After(s.last) {
			s.last = last
		}
	}()
	for {
		start := time.Now()
		if s.over(start) || !s.mayBegin() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		err := call(ctx, caller)
		end := time.Now()
		counts := !end.Before(s.from) && !s.over(end)
		if counts {
			s.counted.Add(1)
			last = end
		}
		switch {
		case err != nil:
			if err := s.fail(err, counts); err != nil {
				return err
			}
		case counts:
			h.Add(end.Sub(start))
		}
	}
}

// over reports whether calls that end now count no more.
func (s *state) over(now time.Time) bool {
	return !now.Before(s.until) && s.counted.Load() >= int64(s.loop.MinCalls)
}

// mayBegin counts one more call, if there may be one.
func (s *state) mayBegin() bool {
	return s.begun.Add(1) <= int64(s.loop.MaxCalls) || s.loop.MaxCalls <= 0
}

// fail counts a failed call and returns err when it was one too many.
func (s *state) fail(err error, counts bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
	if counts {
		s.result.Errors++
	}
	if s.failed > s.loop.MaxErrors {
		return err
	}
	return nil
}

// Add takes in what another run of the same loop saw.
func (r *Result) Add(o *Result) {
	r.Latency.Merge(&o.Latency)
	r.Errors += o.Errors
	r.Elapsed += o.Elapsed
}
