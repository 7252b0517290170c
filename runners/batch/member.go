package batch

import (
	"context"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// state is where a member stands. The Batcher's lock guards it.
type state uint8

const (
	queued     state = iota
	taken            // it is in a batch that is about to be gathered
	gathering        // its rows are being copied: its inputs are read
	running          // its rows are in a run over a copy: it may leave
	alone            // it runs over its caller's own memory: it may leave when that has ended
	delivering       // its outputs are being written
	gone             // it has its answer, or left
)

// member is one request, or one part of a large one, on its way through the queue.
type member struct {
	ctx      context.Context //nolint:containedctx // the request's own; it lives as long as that
	in, out  []runners.Tensor
	rows     int
	shape    string // shapeOf in
	tenant   string
	class    int
	since    time.Time
	seq      uint64
	deadline time.Time // zero: none

	done    chan struct{} // made when m has to wait; closed when the following are set and no memory of the caller's is used any more
	err     error
	account Account

	// The Batcher's lock guards the following.
	state      state
	left       bool // the caller has gone while its rows were gathered
	flight     *flight
	charge     float64 // cost of its rows
	prev, next *member // in its lane
}

func newMember(ctx context.Context, in, out []runners.Tensor, rows int) *member {
	c := callerOf(ctx)
	m := &member{
		ctx: ctx, in: in, out: out, rows: rows, shape: shapeOf(in), tenant: c.Tenant, class: c.Priority.class(),
		since: time.Now(),
	}
	m.deadline, _ = ctx.Deadline()
	return m
}

// finish gives m its answer.
func (m *member) finish(err error) {
	m.err = err
	close(m.done)
}

// flight is one run of several members.
type flight struct {
	gathered chan struct{} // closed when no member's inputs are read any more

	// The Batcher's lock guards the following.
	cancel context.CancelFunc // nil until it starts
	live   int                // members that still wait
}
