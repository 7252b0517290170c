package timeslice

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sliceOf returns the calling thread's slice.
func sliceOf(t *testing.T) time.Duration {
	t.Helper()
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(attr.Runtime)
}

// All threads have the slice, those that are started later too.
func TestSet(t *testing.T) {
	runtime.LockOSThread() // this one is among them, and starts others
	defer runtime.UnlockOSThread()
	before := sliceOf(t)
	t.Cleanup(func() {
		if err := Set(before); err != nil {
			t.Error(err)
		}
	})
	for _, want := range []time.Duration{Long, Short} {
		if err := Set(want); err != nil {
			t.Fatal(err)
		}
		if got := sliceOf(t); got != want && got != before {
			t.Errorf("this thread's slice is %v, want %v", got, want)
		} else if got == before {
			t.Skipf("this kernel has one slice for all: %v", before)
		}
		others := make(chan time.Duration)
		for range 4 {
			go func() {
				runtime.LockOSThread() // and ends with the goroutine, so that the next one is new
				others <- sliceOf(t)
			}()
		}
		for range 4 {
			if got := <-others; got != want {
				t.Errorf("another thread's slice is %v, want %v", got, want)
			}
		}
	}
}
