package quota_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Changes of a tenant wait for each other, not for another tenant's, and not for longer than their callers do.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := quota.New(quota.Config{Limits: func(tenant.ID) tenant.Limits { return tenant.Unlimited() }, Changes: 2})
		var changes sync.WaitGroup
		begin := time.Now()
		for range 6 {
			changes.Go(func() {
				done, err := d.Turn(t.Context(), acme)
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Second)
				done()
			})
		}
		synctest.Wait()
		if done, err := d.Turn(t.Context(), other); err != nil || time.Since(begin) != 0 {
			t.Errorf("another tenant waited for %v: %v", time.Since(begin), err)
		} else {
			done()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := d.Turn(ctx, acme); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the caller's time", err)
		}
		changes.Wait()
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("six changes of a second, two at once, took %v", took)
		}
	})
}
