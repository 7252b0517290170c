package batch

import (
	"fmt"
	"math"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// RefusedError is why a request was not taken on. It wraps runners.ErrOverloaded.
type RefusedError struct {
	Reason string
	// RetryAfter is when another try may do better.
	RetryAfter time.Duration
}

// Error returns the reason and the hint.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%v: %s: try again in %v", runners.ErrOverloaded, e.Reason, e.RetryAfter)
}

// Unwrap returns runners.ErrOverloaded.
func (e *RefusedError) Unwrap() error { return runners.ErrOverloaded }

// enter takes m on. It returns true when m's run may begin at once on its caller's goroutine, and counts it as running then.
func (b *Batcher) enter(m *member) (now bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false, runners.ErrClosed
	}
	if b.config.MaxDelay == 0 && b.queue.waiting == 0 && b.beginLocked() {
		b.stats.Requests++
		b.expectLocked(m.shape, m.rows)
		m.state = alone
		return true, nil
	}
	return false, b.enqueueLocked(m)
}

// enqueue puts m into the queue even when it could run at once.
func (b *Batcher) enqueue(m *member) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return runners.ErrClosed
	}
	return b.enqueueLocked(m)
}

func (b *Batcher) enqueueLocked(m *member) error {
	err := b.punctualLocked(m)
	if err == nil {
		err = b.makeRoomLocked(m)
	}
	if err != nil {
		b.stats.Refused++
		return err
	}
	b.stats.Requests++
	m.done = make(chan struct{})
	b.queue.add(m)
	if b.config.MaxDelay > 0 {
		b.hurryLocked(m)
	}
	b.dispatchLocked()
	return nil
}

// punctualLocked refuses m when it would be late. While the model is idle nobody is refused, however slow it was: how else
// would it be known that it is fast again.
func (b *Batcher) punctualLocked(m *member) error {
	if m.deadline.IsZero() || b.running == 0 || b.running < b.abreastLocked() {
		return nil
	}
	if _, _, known := b.cost.line(m.shape); !known {
		return nil
	}
	now := time.Now()
	takes := b.untilFreeLocked(now) + b.backlogLocked(m)
	left := m.deadline.Sub(now)
	if takes <= left || left <= 0 { // its context says the latter
		return nil
	}
	return &RefusedError{
		Reason:     fmt.Sprintf("the deadline is in %v, the answer would take %v", rounded(left), rounded(takes)),
		RetryAfter: rounded(max(takes-left, time.Millisecond)),
	}
}

// backlogLocked returns how long it takes to run what is ahead of m and m itself. Ahead of it is what its tenant has waiting,
// times the tenants that take turns with it, but not more than everything.
func (b *Batcher) backlogLocked(m *member) time.Duration {
	rows, tenants := m.rows, len(b.queue.tenants)
	if u := b.queue.tenants[m.tenant]; u != nil {
		rows += u.rows
	} else {
		tenants++
	}
	share := 1.0
	if all := b.queue.rows + m.rows; all > 0 {
		share = min(1, float64(rows*tenants)/float64(all))
	}
	total := 0.0
	for shape, t := range b.queue.shapes {
		if shape != m.shape {
			total += b.takesLocked(shape, share*float64(t.rows))
		}
	}
	total += b.takesLocked(m.shape, share*float64(b.queue.shapes[m.shape].rows)+float64(m.rows))
	return seconds(total / float64(b.abreastLocked()))
}

// takesLocked returns the seconds that rows rows of a shape take, in as few runs as may be.
func (b *Batcher) takesLocked(shape string, rows float64) float64 {
	base, slope, _ := b.cost.line(shape)
	return math.Ceil(rows/float64(b.config.MaxRows))*base + slope*rows
}

// makeRoomLocked sees to it that m fits into the queue, at the cost of whoever has more than its share, or refuses m.
func (b *Batcher) makeRoomLocked(m *member) error {
	for b.queue.rows+m.rows > b.config.MaxQueueRows {
		victim := b.queue.victim(m.tenant, m.rows)
		if victim == nil {
			return b.fullLocked()
		}
		b.queue.remove(victim)
		victim.state = gone
		b.stats.Evicted++
		victim.finish(b.fullLocked())
	}
	return nil
}

func (b *Batcher) fullLocked() error {
	wait := b.untilFreeLocked(time.Now()) + seconds(b.queue.load/float64(b.abreastLocked()))
	return &RefusedError{
		Reason:     fmt.Sprintf("%d rows wait", b.queue.rows),
		RetryAfter: rounded(min(max(wait/2, time.Millisecond), time.Minute)),
	}
}

// untilFreeLocked returns how long until a run is expected to end.
func (b *Batcher) untilFreeLocked(now time.Time) time.Duration {
	var soonest time.Duration
	for i, at := range b.endsAt {
		if left := max(at.Sub(now), 0); i == 0 || left < soonest {
			soonest = left
		}
	}
	return soonest
}

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
