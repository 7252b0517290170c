package batch

import "slices"

// Slots shares out what several Batchers run on. Its methods are called at the same time; Take with the Batcher's lock held, so
// it does not call back.
type Slots interface {
	// Take takes what one run needs and reports whether it could. When it could not, the Batcher's Wake is called when it may
	// be worth another try.
	Take() bool
	// Give gives back what one Take took. It may call the Wake of other Batchers.
	Give()
}

// Wake looks for something to run, after Slots had none to give.
func (b *Batcher) Wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dispatchLocked()
}

// SetConcurrency changes how many runs may go on at once, at least 1. Runs that go on are not ended.
func (b *Batcher) SetConcurrency(runs int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.concurrency = max(runs, 1)
	b.dispatchLocked()
}

// beginLocked takes what a run needs, if it may begin now.
func (b *Batcher) beginLocked() bool {
	if b.running >= b.concurrency {
		return false
	}
	b.held = b.config.Slots != nil && !b.config.Slots.Take()
	if b.held {
		return false
	}
	b.running++
	return true
}

// giveSlot gives back what a run had. The lock must not be held: others may be woken.
func (b *Batcher) giveSlot() {
	if b.config.Slots != nil {
		b.config.Slots.Give()
	}
}

// abreastLocked returns how many runs can be counted on.
func (b *Batcher) abreastLocked() int {
	if b.held {
		return max(b.running, 1)
	}
	return b.concurrency
}

// endedLocked notes that a run has ended. Runs are not told apart: it was the one expected first.
func (b *Batcher) endedLocked() {
	first := 0
	for i, at := range b.endsAt {
		if at.Before(b.endsAt[first]) {
			first = i
		}
	}
	b.endsAt = slices.Delete(b.endsAt, first, first+1)
}
