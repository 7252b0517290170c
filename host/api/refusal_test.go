package api

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusalsAreLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusals()
		var all sync.WaitGroup
		var late, atOnce atomic.Int64
		began := time.Now()
		for range mostRefused + 50 {
			all.Go(func() {
				r.wait(t.Context())
				if waited := time.Since(began); waited == refusalDelay {
					late.Add(1)
				} else if waited == 0 {
					atOnce.Add(1)
				}
			})
		}
		all.Wait()
		if late.Load() != mostRefused || atOnce.Load() != 50 {
			t.Errorf("%d were answered late and %d at once", late.Load(), atOnce.Load())
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		began = time.Now()
		r.wait(gone)
		if time.Since(began) > 0 || len(r) > 0 {
			t.Errorf("a caller that went away was waited for, %d wait", len(r))
		}
	})
}
