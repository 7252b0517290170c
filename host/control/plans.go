package control

import (
	"container/list"
	"context"
	"sync"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Bounds of the plans that are kept: how many, and the length of their documents together. A plan is some ten times its
// document.
const (
	maxPlans     = 1024
	maxPlanBytes = 16 << 20
)

// plans keeps what releases compiled to: a release never changes, so its plan does not either. The plans that were asked for
// longest ago make room.
type plans struct {
	mu    sync.Mutex // guards the following
	m     map[planKey]*list.Element
	order list.List // of *planEntry, the one used last in front
	bytes int
}

// planKey names a release for ever; a graph that was deleted and published again has another digest or the same plan.
type planKey struct {
	tenant  tenant.ID
	name    string
	version int
	digest  string
}

type planEntry struct {
	key  planKey
	plan *graph.Plan
	size int
}

func newPlans() *plans { return &plans{m: map[planKey]*list.Element{}} }

// of returns a release's plan, compiled against what it pinned when nobody has it.
func (p *plans) of(ctx context.Context, c *catalog.Catalog, rel catalog.Release) (*graph.Plan, error) {
	key := planKey{rel.Tenant, rel.Name, rel.Version, string(rel.Digest)}
	if plan := p.find(key); plan != nil {
		return plan, nil
	}
	plan, err := graph.Check(rel.Document, newEnv(ctx, c, p, rel.Tenant, rel.Pins))
	if err != nil {
		return nil, err
	}
	p.keep(&planEntry{key: key, plan: plan, size: len(rel.Document)})
	return plan, nil
}

func (p *plans) find(key planKey) *graph.Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.m[key]
	if at == nil {
		return nil
	}
	p.order.MoveToFront(at)
	return entryOf(at).plan
}

// entryOf returns what the list holds.
func entryOf(at *list.Element) *planEntry {
	e, _ := at.Value.(*planEntry) // it holds nothing else
	return e
}

func (p *plans) keep(e *planEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m[e.key] != nil {
		return // somebody else compiled it meanwhile
	}
	p.m[e.key] = p.order.PushFront(e)
	p.bytes += e.size
	for p.order.Len() > maxPlans || (p.bytes > maxPlanBytes && p.order.Len() > 1) {
		last := entryOf(p.order.Back())
		p.order.Remove(p.order.Back())
		delete(p.m, last.key)
		p.bytes -= last.size
	}
}
