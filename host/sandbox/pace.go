package sandbox

import (
	"sync/atomic"
	"time"
)

// pace fits the slices of a program's guests to the time that their instructions take. It goes down at once and up
// slowly, so that a collection, which waits for the ends of slices, seldom waits for long. It may be used by many goroutines.
type pace struct {
	less atomic.Uint64 // by which slices are smaller than quantum
}

// quantum returns the fuel of the next slice.
func (p *pace) quantum() uint64 { return quantum - p.less.Load() }

// slice takes note that a slice used fuel for a time.
func (p *pace) slice(used uint64, took time.Duration) {
	q := p.quantum()
	switch {
	case took > longSlice:
		q = min(q, used*uint64(longSlice)/uint64(took)/2)
	case q < quantum:
		q += min(used, q) / 64 // a guest that grows its memory is charged for more than it does
	default:
		return
	}
	p.less.Store(quantum - min(max(q, minQuantum), quantum)) // of two at once either will do
}
