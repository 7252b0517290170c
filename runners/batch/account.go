package batch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// Account says what became of one request. The caller makes it and reads it when Run has returned; a request whose caller
// left before it ran has only Queued. For a request that was run in parts the times and bytes are those of all its parts
// together, the rest that of the largest batch.
type Account struct {
	// Queued is the time in the queue.
	Queued time.Duration
	// Ran is the time of the runs that it was in.
	Ran time.Duration
	// Runs is how many runs it was in: more than one when it was run in parts, or again because one that it was in failed.
	Runs int
	// Rows and Requests are those of the batch, others' included. 0: it was not run.
	Rows     int
	Requests int
	// Reason is why the batch was closed. It means nothing while Rows is 0.
	Reason Reason
	// BytesCopied counts what was copied of this request: its rows into the batch and out of it, padding included, and what the
	// runner below copied for it when it ran alone.
	BytesCopied uint64
}

var _ runners.Observer = (*Account)(nil)

// WithAccount returns a context whose one request is accounted for in a. The account may not be shared by two requests.
func WithAccount(ctx context.Context, a *Account) context.Context {
	return runners.WithObserver(ctx, a)
}

func accountOf(ctx context.Context) *Account {
	a, _ := runners.ObserverOf(ctx).(*Account)
	return a
}

// Copied implements runners.Observer: the runner below copied something of a request that runs alone.
func (a *Account) Copied(bytes int) { atomic.AddUint64(&a.BytesCopied, uint64(bytes)) }

// ran notes a run that the request was in.
func (a *Account) ran(done *Batch) {
	a.Runs++
	a.Ran += done.Took
	if done.Rows >= a.Rows {
		a.Rows, a.Requests, a.Reason = done.Rows, done.Requests, done.Reason
	}
}

// add takes in what became of a part. a may be nil.
func (a *Account) add(part Account) {
	if a == nil {
		return
	}
	a.Queued += part.Queued
	a.Ran += part.Ran
	a.Runs += part.Runs
	atomic.AddUint64(&a.BytesCopied, part.BytesCopied) // parts may be running
	if part.Rows >= a.Rows {
		a.Rows, a.Requests, a.Reason = part.Rows, part.Requests, part.Reason
	}
}
