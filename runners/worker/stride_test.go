package worker

import (
	"slices"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/timeslice"
)

// The slices change when the runs do, and not more often.
func TestStride(t *testing.T) {
	var set []time.Duration
	s := &stride{set: func(d time.Duration) error {
		set = append(set, d)
		return nil
	}}
	want := func(what string, wanted ...time.Duration) {
		t.Helper()
		if !slices.Equal(set, wanted) {
			t.Errorf("after %s the slices were set to %v, want %v", what, set, wanted)
		}
		set = nil
	}
	s.ended(time.Microsecond, false)
	want("a short run")
	s.lengthen()
	s.lengthen()
	want("two runs have become long", timeslice.Long)
	s.ended(time.Microsecond, false)
	want("a short run beside long ones")
	s.ended(time.Second, true)
	s.ended(longRun, true)
	want("the long ones")
	s.ended(longRun-time.Nanosecond, false)
	want("one that is neither")
	s.ended(shortRun, false)
	s.ended(time.Microsecond, false)
	want("two short ones", timeslice.Short)
}
