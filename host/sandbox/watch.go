package sandbox

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"
)

const (
	// watchPeriod is how often guests that run are looked at.
	watchPeriod = 500 * time.Microsecond
	// longSlice is how long a slice of fuel may take. It takes 0.2 ms, unless each instruction waits: for a page that was
	// not there (3 us), for memory, for a core.
	longSlice = 300 * time.Microsecond
)

// watch has guests yield whose slice of fuel takes long by the clock: fuel counts instructions, and a slice of those that
// each touch a new page would take 100 ms. It looks from a timer, which runs only while guests do, and needs a
// processor of Go's that no guest has.
type watch struct {
	base  time.Time
	armed atomic.Bool

	mu     sync.Mutex // guards the following, and the stop globals of all guests
	timer  *time.Timer
	guests []*watched
	closed bool
}

// watched is one guest, known to the watch while its instance lives.
type watched struct {
	stop  api.MutableGlobal
	since atomic.Int64 // when its slice began, in ns since watch.base; 0 while it does not run
	late  atomic.Bool  // stop is set
}

func newWatch() *watch {
	return &watch{base: time.Now().Add(-1)}
}

// add makes a guest known.
func (w *watch) add(g *watched) {
	w.mu.Lock()
	w.guests = append(w.guests, g)
	w.mu.Unlock()
}

// remove forgets a guest, whose module may be closed afterwards.
func (w *watch) remove(g *watched) {
	w.mu.Lock()
	if i := slices.Index(w.guests, g); i >= 0 {
		last := len(w.guests) - 1
		w.guests[i], w.guests[last] = w.guests[last], nil
		w.guests = w.guests[:last]
	}
	w.mu.Unlock()
}

// begin is called when a guest's slice begins.
func (w *watch) begin(g *watched, now time.Time) {
	if g.late.Load() {
		w.mu.Lock()
		g.stop.Set(0)
		g.late.Store(false)
		w.mu.Unlock()
	}
	g.since.Store(int64(now.Sub(w.base)))
	if !w.armed.Load() {
		w.arm()
	}
}

// end is called when a guest's slice has ended.
func (w *watch) end(g *watched) { g.since.Store(0) }

func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.armed.Load() {
		return
	}
	w.armed.Store(true)
	if w.timer == nil {
		w.timer = time.AfterFunc(watchPeriod, w.tick)
		return
	}
	w.timer.Reset(watchPeriod)
}

// tick looks at all guests, and comes back while any of them runs.
func (w *watch) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if !w.lookLocked(time.Since(w.base)) {
		w.armed.Store(false)
		// One that began just now may have found it armed.
		if !w.lookLocked(0) {
			return
		}
		w.armed.Store(true)
	}
	w.timer.Reset(watchPeriod)
}

// lookLocked stops the guests whose slice began long before now, and tells whether any guest runs.
func (w *watch) lookLocked(now time.Duration) (running bool) {
	for _, g := range w.guests {
		since := g.since.Load()
		running = running || since != 0
		if since != 0 && now-time.Duration(since) > longSlice && !g.late.Load() {
			g.stop.Set(math.MaxInt64)
			g.late.Store(true)
		}
	}
	return running
}

// close ends the watch. No guest may run.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
