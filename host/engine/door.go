package engine

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// door admits requests by the bytes that they are expected to hold at their peaks.
type door struct {
	limit int64 // 0: everybody may enter

	mu   sync.Mutex // guards the following
	used int64
}

// shadowShare is the part of the bytes up to which shadows may fill the door, in percent: the rest is for answers.
const shadowShare = 75

// comeBack is when a request that was refused may be tried again: somebody's request has mostly ended by then.
const comeBack = time.Second

// enter admits a request, and returns how many bytes were taken for it, or says why not.
func (d *door) enter(r *run) (taken int64, refused *Error) {
	if d.limit <= 0 {
		return 0, nil
	}
	need := r.estimate(false)
	if d.take(need, 100) {
		return need, nil
	}
	e := &Error{
		Reason: ReasonLimit, Graph: r.rel.Name, Expected: bytesText(d.limit) + " at most", Found: bytesText(need),
		Text: fmt.Sprintf("the request is expected to hold %s at its peak, and requests may hold %s together", bytesText(need), bytesText(d.limit)),
	}
	if need <= d.limit {
		e.RetryAfter = comeBack
		e.Text += fmt.Sprintf(", of which %s are in use; try again", bytesText(d.inUse()))
	} else {
		e.Text += "; send less at once, or start the server with more --request-memory"
	}
	return 0, e
}

// take takes n bytes when no more than a part of the limit, in percent, is used then.
func (d *door) take(n, percent int64) bool {
	if d.limit <= 0 {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n > d.limit/100*percent-d.used && (percent < 100 || n > d.limit-d.used) {
		return false
	}
	d.used += n
	return true
}

// give gives n bytes back.
func (d *door) give(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used -= n
}

func (d *door) inUse() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	switch {
	case n >= math.MaxInt64/2:
		return "more memory than there is"
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
