package server

import (
	"context"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// tidyEvery is how often the heap is looked at.
	tidyEvery = 10 * time.Second
	// tidyFrom is how much a heap has to be beyond twice what is in use to be given back.
	tidyFrom = 256 << 20
	// goOverhead is what Go's memory is more than what requests and caches hold.
	goOverhead = 1 << 30
)

// GoMemory returns the limit that Go should keep its memory to: what requests and caches may hold, and a gigabyte, at most nine
// tenths of the memory that the machine, or the container, has. Beyond, garbage is collected more often instead of let stand.
func (s *Server) GoMemory() int64 {
	return min(s.cfg.RequestMemory+s.cfg.CacheMemory+goOverhead, machineMemory()/10*9)
}

// tidier gives the memory of a burst back. Go collects garbage when the heap has doubled, or after two minutes, and then returns it
// slowly: after a flood of large answers a server that does nothing keeps gigabytes.
type tidier struct {
	inUse func() int64 // bytes that requests and caches hold
	log   *slog.Logger
	left  uint64 // what was in use after the last time
}

func (s *Server) tidier() *tidier {
	return &tidier{log: s.cfg.Logger, inUse: func() int64 {
		stats := s.engine.Stats()
		return stats.MemoryBytes + stats.CacheBytes
	}}
}

// run looks at the heap until ctx ends.
func (t *tidier) run(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			t.look(ctx)
		}
	}
}

// look collects garbage and gives free memory back when there is far more of both than of what is in use, and reports whether it did.
func (t *tidier) look(ctx context.Context) bool {
	before := heldByGo()
	if before < tidyFrom+2*(t.left+uint64(max(t.inUse(), 0))) {
		return false
	}
	debug.FreeOSMemory()
	t.left = heldByGo()
	t.log.DebugContext(ctx, "memory given back after a burst", slog.Uint64("before", before), slog.Uint64("after", t.left))
	return true
}

// heldByGo returns the bytes of the heap that the system has not got back: objects, garbage and free spans.
func heldByGo() (n uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	for _, s := range samples {
		n += s.Value.Uint64()
	}
	return n
}
