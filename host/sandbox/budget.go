package sandbox

import "sync/atomic"

// memoryBudget bounds what the guests of a host have grown to, together. It may be used by many goroutines; nil has no
// bound.
type memoryBudget struct {
	limit uint64
	used  atomic.Uint64
}

// take takes n bytes, or returns false and takes none.
func (b *memoryBudget) take(n uint64) bool {
	if b == nil {
		return true
	}
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// give returns n bytes.
func (b *memoryBudget) give(n uint64) {
	if b != nil {
		b.used.Add(-n)
	}
}
