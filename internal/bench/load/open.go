package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Open is an open loop: calls begin at a fixed rate whether or not earlier ones have been answered, as callers do who know
// nothing of each other.
type Open struct {
	// PerSecond is the rate. Required.
	PerSecond float64
	// Duration is for how long calls begin. Required.
	Duration time.Duration
	// Deadline is how long a call may take, counted from the moment at which it was due; it is given to the call. Required.
	Deadline time.Duration
	// MaxOpen bounds the calls that are under way; one that would be more counts as late. Default 1000.
	MaxOpen int
}

// OpenResult is what an open loop saw.
type OpenResult struct {
	// Latency is counted from the moment at which a call was due, so that a loop that falls behind does not flatter itself.
	Latency Histogram
	// Due counts all calls, Good those that were answered within the deadline.
	Due, Good int
	Elapsed   time.Duration
}

// GoodPerSecond returns the calls per second that were answered in time.
func (r *OpenResult) GoodPerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Good) / r.Elapsed.Seconds()
}

// Run runs the loop and returns when all calls have returned, or with ctx's error when it ended. A call that fails is not
// good and no error.
func (o Open) Run(ctx context.Context, call func(ctx context.Context) error) (*OpenResult, error) {
	if o.PerSecond <= 0 || o.Deadline <= 0 {
		return nil, fmt.Errorf("open loop of %v calls a second within %v: both must be more than 0", o.PerSecond, o.Deadline)
	}
	if o.MaxOpen <= 0 {
		o.MaxOpen = 1000
	}
	began := time.Now()
	res := &OpenResult{}
	var mu sync.Mutex // guards res.Latency and res.Good
	var wg sync.WaitGroup
	slots := make(chan struct{}, o.MaxOpen)
	every := time.Duration(float64(time.Second) / o.PerSecond)
	for due := began; due.Sub(began) < o.Duration; due = due.Add(every) {
		if err := sleepUntil(ctx, due); err != nil {
			wg.Wait()
			return res, err
		}
		res.Due++
		select {
		case slots <- struct{}{}:
		default:
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithDeadline(ctx, due.Add(o.Deadline))
			defer cancel()
			err := call(ctx)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				res.Latency.Add(took)
				if took <= o.Deadline {
					res.Good++
				}
			}
		})
	}
	wg.Wait()
	res.Elapsed = time.Since(began)
	return res, ctx.Err()
}

func sleepUntil(ctx context.Context, t time.Time) error {
	wait := time.Until(t)
	if wait <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
