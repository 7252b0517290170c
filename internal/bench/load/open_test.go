package load

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		res, err := Open{PerSecond: 100, Duration: time.Second, Deadline: 50 * time.Millisecond}.Run(t.Context(), func(ctx context.Context) error {
			switch n.Add(1) % 4 {
			case 0:
				return errors.New("refused")
			case 1:
				<-ctx.Done()
				return ctx.Err()
			}
			time.Sleep(20 * time.Millisecond)
			return nil
		})
		if err != nil || res.Due != 100 || res.Good != 50 || res.Latency.Quantile(.5) != 20*time.Millisecond {
			t.Errorf("got %+v, %v, want 100 due and 50 good", res, err)
		}
	})
}

// TestOpenFallsBehind: the calls that are not even begun are due all the same.
func TestOpenFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, err := Open{PerSecond: 10, Duration: time.Second, Deadline: time.Minute, MaxOpen: 2}.Run(t.Context(), func(context.Context) error {
			time.Sleep(3 * time.Second)
			return nil
		})
		if err != nil || res.Due != 10 || res.Good != 2 {
			t.Errorf("got %+v, %v, want 10 due and 2 good", res, err)
		}
	})
}

func TestOpenWithoutRate(t *testing.T) {
	t.Parallel()
	if _, err := (Open{Duration: time.Second, Deadline: time.Second}).Run(t.Context(), func(context.Context) error { return nil }); err == nil {
		t.Error("no calls a second: got no error")
	}
}

func TestOpenCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := (Open{PerSecond: 100, Duration: time.Hour, Deadline: time.Hour}).Run(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}
