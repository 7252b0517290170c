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
	run(ctx context.Context, c *call) (*answer, error)
}

// call is one run of a target.
type call struct {
	r    *run
	node *graph.PlanNode
	in   []value.Value // one for each port of the node; the zero Value is absent
}

// answer is what one run of a target gave.
type answer struct {
	values []value.Value
	free   func() // gives back the memory under values; nil when the collector owns it
	stats  stats
}

// once runs a node's target one time: converts and checks what goes in, and says which port is at fault.
func (r *run) once(ctx context.Context, p *graph.PlanNode, in []value.Value) (*answer, *Error) {
	b := graph.Bindings{}
	for i := range p.Inputs {
		port := &p.Inputs[i]
		if in[i].IsZero() {
			if !port.Optional {
				return nil, &Error{Reason: ReasonType, Port: port.Port, Expected: port.Type.String(), Found: "nothing", Text: "no value came for this port"}
			}
			continue
		}
		v, err := r.convert(ctx, port.Convert, in[i])
		if err != nil {
			e := classify(err)
			return nil, &Error{Reason: e.Reason, Port: port.Port, Text: e.Text, Err: err}
		}
		if m := checkValue(port.Type, v, b); m != nil {
			return nil, &Error{Reason: ReasonType, Port: port.Port, Expected: m.Expected, Found: m.Found, Text: m.Error()}
		}
		in[i] = v
	}
	out, err := r.rel.Targets[p.ID].run(ctx, &call{r: r, node: p, in: in})
	if err != nil {
		if ctx.Err() != nil {
			// The target's own words for it would hide that it was the deadline or another node's failure.
			return nil, classify(context.Cause(ctx))
		}
		return nil, classify(err)
	}
	return out, nil
}
