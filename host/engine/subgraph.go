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

func (g *graphTarget) identity() string { return "graph " + g.rel.Digest }

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
	r.images, r.aside, r.priority = c.r.images, c.r.inShadow || c.r.aside, c.r.priority+c.node.Priority
	r.inner, r.held, r.helpers = true, c.r.held, c.r.helpers
	res, err := r.do(ctx)
	if err != nil {
		r.after.abandon()
		return nil, err
	}
	c.r.after.takeOver(r.after)
	a := &answer{values: make([]value.Value, len(c.node.Outputs))}
	if len(res.free) > 0 {
		a.free = res.Release
	}
	for i := range c.node.Outputs {
		a.values[i] = res.Outputs[c.node.Outputs[i].Port]
	}
	for i := range r.nodes {
		t := &r.nodes[i].trace
		a.stats.waited += t.Waited
		a.stats.queued += t.Queued
		a.stats.ran += t.Ran
		a.stats.copied += t.Copied
		a.stats.fuel += t.Fuel
		a.stats.cached += t.Cached
	}
	return a, nil
}
