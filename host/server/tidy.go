package server

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// tidyEvery is how often the heap is looked at.
	tidyEvery = 10 * time.Second
	// tidyFrom is how much a heap has to be beyond twice what is in use to be given back.
	tidyFrom = 256 << 20
	// calmLong is after how many looks in a row at a server that is not busy less is given back too: what is beyond what is in use, and
	// beyond tidyLess.
	calmLong = 6
	tidyLess = 64 << 20
	// calmBytes is what a server that is not busy allocates between two looks at most.
	calmBytes = 256 << 20
	// atOnce is how much may be given back at a stretch; 256 MiB take 17 ms.
	atOnce = 512 << 20
	// goOverhead is what Go's memory is more than what requests and caches hold.
	goOverhead = 1 << 30
)

// GoMemory returns the limit that Go should keep its memory to: what requests and caches may hold, and a gigabyte, at most nine
// tenths of the memory that the machine, or the container, has. Beyond, garbage is collected more often instead of let stand.
func (s *Server) GoMemory() int64 {
	return min(s.cfg.RequestMemory+s.cfg.CacheMemory+goOverhead, machineMemory()/10*9)
}

// tidier looks after Go's heap: how much garbage there may be, and that the memory of a burst is given back. Go collects garbage when
// the heap has grown, or after two minutes, and then returns memory slowly: after a flood of large answers a server that does
// nothing keeps gigabytes.
type tidier struct {
	inUse    func() int64 // bytes that requests and caches hold
	log      *slog.Logger
	headroom *headroom // nil leaves collections to Go
	left     uint64    // what was in use after the last time
	made     uint64    // bytes that had ever been allocated at the last look
	calmFor  int       // looks in a row at which the server was not busy
}

func (s *Server) tidier() *tidier {
	t := &tidier{log: s.cfg.Logger, inUse: func() int64 {
		stats := s.engine.Stats()
		return stats.MemoryBytes + stats.CacheBytes
	}}
	if s.cfg.Headroom > 0 {
		t.headroom = newHeadroom(s.cfg.Headroom)
	}
	return t
}

// run looks after the heap until ctx ends.
func (t *tidier) run(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var collected <-chan struct{}
	if t.headroom != nil {
		w := watchCollections()
		defer w.stop()
		collected = w.c
		defer t.headroom.set(debug.SetGCPercent(100)) // as it was before
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
			t.headroom.collected(time.Now(), liveHeap())
		case <-tick.C:
			if t.calm() {
				t.look(ctx)
			}
		}
	}
}

// calm reports whether little was allocated since the last time, and counts how often in a row that was so. A server that is busy soon
// wants again what it gives back.
func (t *tidier) calm() bool {
	made := runtimeBytes("/gc/heap/allocs:bytes")
	few := made-t.made < calmBytes
	t.made = made
	t.calmFor++
	if !few {
		t.calmFor = 0
	}
	return few
}

// look collects garbage and gives free memory back when there is far more of both than of what is in use, or when the server has been calm
// for long and there is more, and reports whether it did.
func (t *tidier) look(ctx context.Context) bool {
	before, used := heldByGo(), t.left+uint64(max(t.inUse(), 0))
	enough := tidyFrom + 2*used
	if t.calmFor >= calmLong {
		enough = tidyLess + used
	}
	if before < enough {
		return false
	}
	t.giveBack(before - used)
	t.left, t.calmFor = runtimeBytes(objectBytes, unusedBytes), 0
	t.log.DebugContext(ctx, "memory is given back after a burst", slog.Uint64("held", before), slog.Uint64("in_use", t.left))
	return true
}

// giveBack collects garbage and gives free memory back. Much is left to Go, which does so with a hundredth of a core, up to the headroom: at
// a stretch 1.2 GiB take 78 ms. How much Go keeps follows from what was in use at the collection before, so there are two.
func (t *tidier) giveBack(much uint64) {
	collect := runtime.GC
	if much <= atOnce {
		collect = debug.FreeOSMemory
	}
	collect()
	if t.headroom != nil {
		t.headroom.reset(liveHeap())
	}
	if much > atOnce {
		collect()
	}
}

// Metrics of the Go runtime for the heap's memory that the system has not got back.
const (
	objectBytes = "/memory/classes/heap/objects:bytes" // garbage that was not swept included
	unusedBytes = "/memory/classes/heap/unused:bytes"  // beside objects, in spans that have some
	freeBytes   = "/memory/classes/heap/free:bytes"
)

// heldByGo returns the bytes of the heap that the system has not got back: objects, garbage and free spans.
func heldByGo() uint64 {
	return runtimeBytes(objectBytes, unusedBytes, freeBytes)
}

// runtimeBytes returns the sum of metrics of the Go runtime that are bytes.
func runtimeBytes(names ...string) (n uint64) {
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	for i := range samples {
		n += samples[i].Value.Uint64()
	}
	return n
}
