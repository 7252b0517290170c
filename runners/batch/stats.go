package batch

import "time"

// Reason is why a batch was closed.
type Reason uint8

// Reasons.
const (
	// Idle: nothing more waited.
	Idle Reason = iota
	// Full: it had the most rows, or the next request did not fit.
	Full
	// Delay: its oldest request had waited as long as may be.
	Delay
	// Deadline: a request could wait no longer and still be answered in time.
	Deadline
	// Shape: what else waited had other shapes.
	Shape
	// Single: the model's requests are not put together, or it has no rows.
	Single
	// Retry: it is part of a batch that failed.
	Retry
	// Closing: the runner is being closed.
	Closing
	reasons
)

// String returns the reason in a word.
func (r Reason) String() string {
	words := [...]string{"idle", "full", "delay", "deadline", "shape", "single", "retry", "closing"}
	if int(r) < len(words) {
		return words[r]
	}
	return "unknown"
}

// Batch is one run of the model.
type Batch struct {
	Rows     int
	Requests int
	Shape    string // of the inputs without the rows: dimensions joined by x, inputs by a space
	Reason   Reason
	Waited   time.Duration // the request that waited longest
	Took     time.Duration
	Err      error
}

// Stats counts what a Batcher did since it was made.
type Stats struct {
	Requests    uint64 // taken on; a large one counts once for each part
	Refused     uint64 // because of the queue's bound or their deadline
	Evicted     uint64 // taken on, and refused later to make room for another tenant's
	Left        uint64 // whose context ended before they were answered
	Runs        uint64
	Rows        uint64 // run
	Failed      uint64 // runs that failed
	Deserted    uint64 // runs that were ended because nobody waited any more
	BytesCopied uint64 // into and out of batches
	ByReason    map[string]uint64
	Waiting     int // requests
	WaitingRows int
	Running     int
}

// Stats returns the counts.
func (b *Batcher) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.ByReason = map[string]uint64{}
	for r, n := range b.byReason {
		if n > 0 {
			s.ByReason[Reason(r).String()] = n
		}
	}
	s.Waiting, s.WaitingRows, s.Running = b.queue.waiting, b.queue.rows, b.running
	return s
}

// recordLocked counts a run and learns from it.
func (b *Batcher) recordLocked(done Batch) {
	b.stats.Runs++
	b.stats.Rows += uint64(done.Rows)
	b.byReason[done.Reason]++
	if done.Err != nil {
		b.stats.Failed++
		return
	}
	b.cost.add(done.Shape, done.Rows, done.Took)
}

func (b *Batcher) tell(done Batch) {
	if b.config.OnBatch != nil {
		b.config.OnBatch(done)
	}
}
