package sandbox

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// cell is a global of a guest that is not there.
type cell struct {
	api.MutableGlobal
	v uint64
}

// Set implements [api.MutableGlobal].
func (c *cell) Set(v uint64) { c.v = v }

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch()
		defer w.close()
		var quick, slow cell
		a, b := &watched{stop: &quick}, &watched{stop: &slow}
		w.add(a)
		w.add(b)
		look := func(step string, wantQuick, wantSlow uint64, wantArmed bool) {
			t.Helper()
			w.mu.Lock()
			defer w.mu.Unlock()
			if quick.v != wantQuick || slow.v != wantSlow || w.armed.Load() != wantArmed {
				t.Errorf("%s: got stops %d and %d, armed %v, want %d, %d, %v", step, quick.v, slow.v, w.armed.Load(), wantQuick, wantSlow, wantArmed)
			}
		}
		w.begin(b, time.Now())
		for range 10 { // slices that end in time
			w.begin(a, time.Now())
			time.Sleep(longSlice / 2)
			w.end(a)
		}
		look("a long slice beside short ones", 0, math.MaxInt64, true)
		w.end(b)
		w.begin(b, time.Now())
		look("the next slice", 0, 0, true)
		w.end(b)
		time.Sleep(2 * watchPeriod)
		look("nobody runs", 0, 0, false)
		w.begin(a, time.Now())
		time.Sleep(2 * (longSlice + watchPeriod))
		look("after a pause", math.MaxInt64, 0, true)
		w.remove(a)
		time.Sleep(2 * watchPeriod)
		look("nobody is there", math.MaxInt64, 0, false)
	})
}
