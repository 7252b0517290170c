package server

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// leastHeadroom is what the heap may grow between two collections of garbage, or by as much as is in use if that is more; leastPart of
	// the limit if that is more too, so that a burst after a calm time is not met with several at once.
	leastHeadroom = 32 << 20
	leastPart     = 4
	// mostHeadroom bounds the default of Config.Headroom.
	mostHeadroom = 1 << 30
	// rare is how far collections should be apart.
	rare = 4 * time.Second
	// tooRare is the time between two collections above which the next one gets half of the headroom.
	tooRare = 20 * time.Second
	// steepest bounds by how much the headroom grows at once.
	steepest = 8
)

// DefaultHeadroom returns a sixteenth of the memory that the machine, or the container, has, and at most 1 GiB.
func DefaultHeadroom() int64 { return min(machineMemory()/16, mostHeadroom) }

// headroom spaces collections out. Go collects when the heap has doubled, which a server with little in use and large requests does many
// times a second, and each collection has all cores for some milliseconds: whoever makes garbage makes others wait. What the
// heap may grow by becomes what it would take for collections to be rare, up to a limit, and halves when they are too rare.
type headroom struct {
	limit int64
	least int64
	set   func(percent int) // of garbage, of what is in use
	room  int64
	last  time.Time // the collection before
	now   int       // percent that was set
}

func newHeadroom(limit int64) *headroom {
	least := max(limit/leastPart, leastHeadroom)
	return &headroom{limit: limit, least: least, room: least, now: 100, set: func(percent int) { debug.SetGCPercent(percent) }}
}

// collected notes a collection that left so many bytes in use.
func (h *headroom) collected(now time.Time, live int64) {
	switch apart := now.Sub(h.last); {
	case apart < rare:
		h.room = min(int64(float64(h.room)*min(float64(rare)/float64(max(apart, 1)), steepest)), h.limit)
	case apart > tooRare:
		h.room = max(h.room/2, h.least)
	}
	h.last = now
	h.apply(live)
}

// reset goes back to the least.
func (h *headroom) reset(live int64) {
	h.room = h.least
	h.apply(live)
}

// apply has Go collect next when the heap has grown by the headroom, or has doubled if that is later. Setting it stops all
// goroutines for a moment: what is nearly right is left alone.
func (h *headroom) apply(live int64) {
	percent := int(max(h.room*100/max(live, 1<<20), 100))
	if percent*5 < h.now*4 || percent*4 > h.now*5 || percent == 100 && h.now != 100 {
		h.set(percent)
		h.now = percent
	}
}

// liveHeap returns the bytes that the latest collection left in use.
func liveHeap() int64 { return int64(min(runtimeBytes("/gc/heap/live:bytes"), 1<<62)) }

// collections tells of collections: its channel has one value when there have been some since the last was taken out.
type collections struct {
	c     chan struct{}
	ended atomic.Bool
}

// watchCollections begins to tell of them, until stop is called.
func watchCollections() *collections {
	w := &collections{c: make(chan struct{}, 1)}
	w.next()
	return w
}

// next has the next collection clean up an object that nobody has, which is how Go tells of one.
func (w *collections) next() {
	object := new([64]byte) // not so small that Go puts several into one
	runtime.AddCleanup(object, func(w *collections) {
		if w.ended.Load() {
			return
		}
		select {
		case w.c <- struct{}{}:
		default:
		}
		w.next()
	}, w)
}

func (w *collections) stop() { w.ended.Store(true) }
