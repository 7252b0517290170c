package engine

import (
	"context"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
)

// Target is what a node runs: a model, a function of a plugin, or a graph. Implementations are in this package.
type Target interface {
	// Label says what it is, as "model ppocr-det@1".
	Label() string
	// identity is equal for targets that answer equally: it names digests.
	identity() string
	run(ctx context.Context, c *call) (*answer, error)
}

// Of says what a target is.
type Of struct {
	// Label is name@version, for people.
	Label string
	// Digest names the content: what has the same digest answers the same. It is what caches go by.
	Digest string
}

// call is one run of a target.
type call struct {
	r    *run
	node *graph.PlanNode
	in   []value.Value // one for each port of the node; the zero Value is absent

	records []Record // of this call; the request's when it succeeds
}

// answer is what one run of a target gave.
type answer struct {
	values []value.Value
	free   func() // gives back the memory under values; nil when the collector owns it
	bytes  int64  // that the request holds because of it
	stats  stats
}

// once runs a node's target one time: converts and checks what goes in, and says which port is at fault.
func (r *run) once(ctx context.Context, p *graph.PlanNode, in []value.Value) (*answer, *Error) {
	if err := r.accept(ctx, p, in); err != nil {
		return nil, err
	}
	c := &call{r: r, node: p, in: in}
	run := c.run
	if p.Cache != nil {
		run = c.cached
	}
	a, err := run(ctx)
	switch {
	case err == nil:
		return a, nil
	case isQuota(err):
		// It may have waited for the quota until its time was up: what it lacked says more.
		return nil, classify(err)
	case ctx.Err() != nil:
		// The target's own words for it would hide that it was the deadline or another node's failure.
		return nil, classify(context.Cause(ctx))
	default:
		return nil, classify(err)
	}
}

// run runs the target and keeps the call's records when it succeeded.
func (c *call) run(ctx context.Context) (*answer, error) {
	a, err := c.r.rel.Targets[c.node.ID].run(ctx, c)
	if err == nil {
		c.r.after.record(c.records)
	}
	return a, err
}

// accept converts and checks what goes into one run of a node.
func (r *run) accept(ctx context.Context, p *graph.PlanNode, in []value.Value) *Error {
	b := graph.Bindings{}
	for i := range p.Inputs {
		port := &p.Inputs[i]
		if in[i].IsZero() {
			if !port.Optional {
				return &Error{Reason: ReasonType, Port: port.Port, Expected: port.Type.String(), Found: "nothing", Text: "no value came for this port"}
			}
			continue
		}
		v, err := r.convert(ctx, port.Convert, in[i])
		if err != nil {
			e := classify(err)
			return &Error{Reason: e.Reason, Port: port.Port, Text: e.Text, Err: err}
		}
		if m := checkValue(port.Type, v, b); m != nil {
			return &Error{Reason: ReasonType, Port: port.Port, Expected: m.Expected, Found: m.Found, Text: m.Error()}
		}
		in[i] = v
	}
	return nil
}
