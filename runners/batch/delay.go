package batch

import "time"

// hurry is by when something that waits has to be run, and why then.
type hurry struct {
	by     time.Time // zero: nothing waits
	reason Reason
}

// hurryOf returns when m can wait no longer: at the end of the delay, or sooner if it would be late otherwise.
func (b *Batcher) hurryOf(m *member) hurry {
	h := hurry{m.since.Add(b.config.MaxDelay), Delay}
	if m.deadline.IsZero() {
		return h
	}
	// A quarter more than is foretold: late by a little is late.
	if latest := m.deadline.Add(-b.cost.foretell(m.shape, m.rows) * 5 / 4); latest.Before(h.by) {
		return hurry{latest, Deadline}
	}
	return h
}

// hurryLocked takes m into account, which was added to the queue.
func (b *Batcher) hurryLocked(m *member) {
	if h := b.hurryOf(m); b.hurry.by.IsZero() || h.by.Before(b.hurry.by) {
		b.hurry = h
		b.setTimerLocked()
	}
}

// rehurryLocked starts over, after something was taken out of the queue.
func (b *Batcher) rehurryLocked() {
	b.hurry = hurry{}
	b.queue.each(func(m *member) {
		if h := b.hurryOf(m); b.hurry.by.IsZero() || h.by.Before(b.hurry.by) {
			b.hurry = h
		}
	})
	b.setTimerLocked()
}

func (b *Batcher) setTimerLocked() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if b.hurry.by.IsZero() || b.closed {
		return
	}
	b.timer = time.AfterFunc(time.Until(b.hurry.by), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.dispatchLocked()
	})
}

// readyLocked reports whether a batch may be closed now.
func (b *Batcher) readyLocked() bool {
	if b.queue.waiting == 0 {
		return false
	}
	return b.config.MaxDelay == 0 || b.closed || b.apart != "" || b.queue.full > 0 || !time.Now().Before(b.hurry.by)
}
