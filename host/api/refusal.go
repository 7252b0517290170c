package api

import (
	"context"
	"time"
)

// Who calls without a valid credential is answered late, so that somebody who guesses keys, or has lost one, does not keep the server busy
// with it. The wait costs a goroutine and a connection: as many as mostRefused wait at once, others are answered at once.
const (
	refusalDelay = 100 * time.Millisecond
	mostRefused  = 256
)

// refusals are the calls that wait for their refusal. Its methods may overlap.
type refusals chan struct{}

func newRefusals() refusals { return make(refusals, mostRefused) }

// wait returns when the caller may be told of its refusal.
func (r refusals) wait(ctx context.Context) {
	select {
	case r <- struct{}{}:
		defer func() { <-r }()
	default:
		return
	}
	timer := time.NewTimer(refusalDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
