package load

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		res, err := Loop{Callers: 4, Duration: time.Second, Warmup: 100 * time.Millisecond}.Run(t.Context(),
			func(_ context.Context, caller int) error {
				if caller < 0 || caller > 3 {
					t.Errorf("got caller %d, want 0 to 3", caller)
				}
				calls.Add(1)
				time.Sleep(10 * time.Millisecond)
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		if calls.Load() != 440 || res.Latency.Count() != 400 || res.Errors != 0 || res.Elapsed != time.Second {
			t.Errorf("got %d calls, %d counted, %d errors, %v, want 440, 400, 0, 1s", calls.Load(), res.Latency.Count(), res.Errors, res.Elapsed)
		}
		if got := res.PerSecond(); got != 400 {
			t.Errorf("got %v calls/s, want 400", got)
		}
		if res.Latency.Quantile(.5) != 10*time.Millisecond || res.Latency.Mean() != 10*time.Millisecond {
			t.Errorf("got p50 %v, mean %v, want 10ms", res.Latency.Quantile(.5), res.Latency.Mean())
		}
	})
}

// TestLoopMaxCalls: every caller calls once, and the loop takes as long as the last.
func TestLoopMaxCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, err := Loop{Callers: 8, Duration: time.Second, MinCalls: 8, MaxCalls: 8}.Run(t.Context(), func(_ context.Context, caller int) error {
			time.Sleep(time.Duration(caller+1) * time.Second)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Latency.Count() != 8 || res.Elapsed != 8*time.Second {
			t.Errorf("got %d calls in %v, want 8 in 8s", res.Latency.Count(), res.Elapsed)
		}
	})
}

// TestLoopSlowCalls has callers that wait for each other so long that most calls begin in the warm-up and end in the loop, or
// begin in the loop and end after it: the rate is that of the server all the same.
func TestLoopSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := make(chan struct{}, 1)
		res, err := Loop{Callers: 64, Duration: 2 * time.Second, Warmup: time.Second}.Run(t.Context(), func(context.Context, int) error {
			turn <- struct{}{}
			time.Sleep(20 * time.Millisecond)
			<-turn
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.PerSecond(); got != 50 {
			t.Errorf("got %v calls/s, want the 50 that are served", got)
		}
	})
}

// TestLoopMinCalls has calls that take longer than the loop: it goes on until enough of them have ended.
func TestLoopMinCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, err := Loop{Duration: time.Second, MinCalls: 3}.Run(t.Context(), func(context.Context, int) error {
			time.Sleep(2 * time.Second)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Latency.Count() != 3 || res.Elapsed != 6*time.Second || res.PerSecond() != .5 {
			t.Errorf("got %d calls in %v, want 3 in 6s", res.Latency.Count(), res.Elapsed)
		}
	})
}

func TestLoopErrors(t *testing.T) {
	errDown := errors.New("down")
	for _, tc := range []struct {
		maxErrors, errs int
		want            error
	}{{0, 1, errDown}, {2, 3, errDown}, {1000, 9, nil}} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			res, err := Loop{Duration: 100 * time.Millisecond, MaxErrors: tc.maxErrors}.Run(t.Context(), func(context.Context, int) error {
				time.Sleep(5 * time.Millisecond)
				if calls++; calls%2 == 0 {
					return errDown
				}
				return nil
			})
			if !errors.Is(err, tc.want) || res.Errors != tc.errs {
				t.Errorf("at most %d: got %v and %d errors, want %v and %d", tc.maxErrors, err, res.Errors, tc.want, tc.errs)
			}
		})
	}
}

// TestLoopCancel ends ctx while calls are under way: they see it and Run returns.
func TestLoopCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := Loop{Callers: 3, Duration: time.Hour, MaxErrors: 1000}.Run(ctx, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

// TestQuantile holds the histogram against sorted durations, split over two that are merged.
func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 300).Draw(t, "durations")
		var h, other Histogram
		for i, d := range ds {
			if i%3 == 0 {
				other.Add(time.Duration(d))
			} else {
				h.Add(time.Duration(d))
			}
		}
		h.Merge(&other)
		slices.Sort(ds)
		if h.Count() != uint64(len(ds)) || int64(h.Min()) != ds[0] || int64(h.Max()) != ds[len(ds)-1] {
			t.Fatalf("got n %d, min %d, max %d", h.Count(), h.Min(), h.Max())
		}
		for _, rank := range []int{1, (len(ds) + 1) / 2, len(ds)} {
			q := float64(rank) / float64(len(ds))
			got, want := int64(h.Quantile(q)), ds[rank-1]
			if got < want || float64(got) > float64(want)*(1+1.0/64)+1 {
				t.Fatalf("quantile %v of %d: got %d, want %d up to 1/64 more", q, len(ds), got, want)
			}
		}
	})
}

func TestQuantileOfARoundedShare(t *testing.T) {
	var h Histogram
	for i := range 29 {
		h.Add(time.Duration(i))
	}
	share := 15.0
	if got := h.Quantile(share / 29); got != 14 {
		t.Errorf("got %d, want the 15th of 29", got)
	}
}

func TestEmptyHistogram(t *testing.T) {
	var h Histogram
	h.Merge(&Histogram{})
	if h.Quantile(.99) != 0 || h.Mean() != 0 || h.Count() != 0 {
		t.Errorf("got %v, %v, %d, want zeros", h.Quantile(.99), h.Mean(), h.Count())
	}
	h.Add(-5)
	if h.Quantile(1) != 0 || h.Count() != 1 {
		t.Errorf("got %v, %d, want 0, 1", h.Quantile(1), h.Count())
	}
}
