package runners_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tandem-serve/tandem/runners"
)

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d runners.Drain
		for range 2 {
			if !d.Enter() {
				t.Fatal("it refuses to be used before it is closed")
			}
		}
		freed, returned := 0, atomic.Int64{}
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() {
				d.Close(func() { freed++ })
				returned.Add(1)
			})
		}
		synctest.Wait()
		if d.Enter() {
			t.Error("it may be used after Close was called")
		}
		d.Leave()
		synctest.Wait()
		if freed != 0 || returned.Load() != 0 {
			t.Errorf("freed %d times and %d calls returned while it is used", freed, returned.Load())
		}
		d.Leave()
		closers.Wait()
		d.Close(func() { freed++ })
		if freed != 1 {
			t.Errorf("freed %d times, want once", freed)
		}
	})
}

// TestDrainHammer: what is freed is used by nobody.
func TestDrainHammer(t *testing.T) {
	for range 100 {
		var d runners.Drain
		var users atomic.Int64
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for d.Enter() {
					users.Add(1)
					users.Add(-1)
					d.Leave()
				}
			})
		}
		d.Close(func() {
			if n := users.Load(); n != 0 {
				t.Errorf("freed with %d users", n)
			}
		})
		all.Wait()
	}
}
