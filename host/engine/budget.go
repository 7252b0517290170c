package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/host/graph"
)

// floors are the shortest times that the nodes of a release took so far. They say how much of a deadline must be left for
// what follows a node: a node that would eat into it cannot lead to an answer in time.
type floors struct {
	once  sync.Once
	nodes []floor
}

type floor struct {
	least atomic.Int64 // ns
	seen  atomic.Int64
}

// enough is how often a node must have run before its floor counts.
const enough = 16

func (f *floors) of(p *graph.Plan) []floor {
	f.once.Do(func() { f.nodes = make([]floor, len(p.Nodes)) })
	return f.nodes
}

// note takes in that a node took d.
func (f *floor) note(d time.Duration) {
	f.seen.Add(1)
	for {
		least := f.least.Load()
		if (least > 0 && least <= int64(d)) || f.least.CompareAndSwap(least, max(int64(d), 1)) {
			return
		}
	}
}

// value returns the floor, 0 while too little is known.
func (f *floor) value() time.Duration {
	if f.seen.Load() < enough {
		return 0
	}
	return time.Duration(f.least.Load())
}

// lower halves a floor that may have ended a request too early.
func (f *floor) lower() { f.least.Store(f.least.Load() / 2) }

// reserve returns how much of the time that is left when node id starts must stay for the nodes after it, the longest way;
// never more than a half of it. A node that may be skipped counts nothing.
func (r *run) reserve(id int, left time.Duration) time.Duration {
	return min(r.nodes[id].tail, left/2)
}

// tails computes for each node how long what follows it takes at least.
func (r *run) tails() {
	fs := r.rel.floors.of(r.rel.Plan)
	for id := len(r.nodes) - 1; id >= 0; id-- {
		for _, d := range r.rel.Plan.Nodes[id].Dependents {
			if n := &r.nodes[d]; n.needed && !n.shadow {
				own := fs[d].value()
				if r.rel.Plan.Nodes[d].Conditional {
					own = 0
				}
				r.nodes[id].tail = max(r.nodes[id].tail, own+r.nodes[d].tail)
			}
		}
	}
}

// withBudget bounds ctx by what the node may take: its own timeout, and the deadline less what follows needs.
func (r *run) withBudget(ctx context.Context, p *graph.PlanNode, n *nodeRun) (context.Context, context.CancelFunc) {
	budget, cause := p.Timeout, (*Error)(nil)
	if p.Timeout > 0 {
		cause = &Error{Reason: ReasonDeadline, Text: fmt.Sprintf("the node's timeout of %v passed", p.Timeout), Err: context.DeadlineExceeded}
	}
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		keep := r.reserve(p.ID, left)
		if budget == 0 || left-keep < budget {
			budget, cause = left-keep, nil
			if keep > 0 {
				cause = &Error{Reason: ReasonDeadline, Text: fmt.Sprintf("the node had %v of the request's time, the rest is for what follows", round(budget)), Err: errReserved}
			}
		}
	}
	n.trace.Budget = budget
	if cause == nil {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, budget, cause)
}

// errReserved marks a deadline that came early because of floors.
var errReserved = fmt.Errorf("%w: reserved for what follows", context.DeadlineExceeded)

// lowerFloors makes the floors after a node count less: they ended it, and may have been wrong.
func (r *run) lowerFloors(id int) {
	fs := r.rel.floors.of(r.rel.Plan)
	for after := id + 1; after < len(fs); after++ {
		fs[after].lower()
	}
}

func round(d time.Duration) time.Duration {
	if d > 10*time.Millisecond {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}
