package engine

import (
	"context"

	"github.com/tandem-serve/tandem/host/value"
)

// graphTarget runs another graph as a node: same deadline, same records, a trace of its own that is not shown.
type graphTarget struct {
	rel *Release
}

// Graph returns the target that runs rel.
func Graph(rel *Release) Target { return &graphTarget{rel: rel} }

// Label says which graph it is.
func (g *graphTarget) Label() string { return "graph " + g.rel.Name }

func (g *graphTarget) run(ctx context.Context, c *call) (*answer, error) {
	in := make(map[string]value.Value, len(c.in))
	for i := range c.in {
		if !c.in[i].IsZero() {
			in[c.node.Inputs[i].Port] = c.in[i]
		}
	}
	r, err := newRun(c.r.eng, g.rel, &Request{ID: c.r.id, Inputs: in})
	if err != nil {
		return nil, err
	}
	r.records, r.images = c.r.records, c.r.images
	res, err := r.do(ctx)
	if err != nil {
		return nil, err
	}
	a := &answer{values: make([]value.Value, len(c.node.Outputs))}
	for i := range c.node.Outputs {
		a.values[i] = res.Outputs[c.node.Outputs[i].Port]
	}
	for i := range r.nodes {
		t := &r.nodes[i].trace
		a.stats.waited += t.Waited
		a.stats.ran += t.Ran
		a.stats.copied += t.Copied
		a.stats.fuel += t.Fuel
	}
	return a, nil
}
