package control

import (
	"context"
	"fmt"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Checked is a document that could be published now.
type Checked struct {
	Plan *graph.Plan
	Pins []catalog.Pin
}

// Check checks a document against what the tenant has within a scope. The error is graph.Faults with every fault,
// tenant.ErrScope for a graph that the scope has not, or one of the catalog's.
func (m *Manager) Check(ctx context.Context, t tenant.ID, within Scope, doc []byte) (*Checked, error) {
	e := newEnv(ctx, m.cfg.Catalog, m.plans, t, nil)
	e.within = within
	plan, err := graph.Check(doc, e)
	if err != nil {
		return nil, err
	}
	if !within.Changes(catalog.KindGraph, plan.Name) {
		return nil, fmt.Errorf("graph %s: %w", plan.Name, tenant.ErrScope)
	}
	return &Checked{Plan: plan, Pins: e.pinned()}, nil
}

// PublishParams says what to publish.
type PublishParams struct {
	Document []byte
	// Stage keeps the current release: the new one waits to be called by its version, or to become the canary or the current
	// one. The first release of a graph is current in any case.
	Stage bool
	// Within bounds what the document may be of, and name. Default: everything that the tenant has.
	Within Scope
}

// Publish checks a document, loads and warms everything that it runs, stores the release and makes it current, which ends
// a canary. When anything fails, what was current stays current, and the error is a *StageError. A document that is current
// already, with the same pins, changes nothing.
func (m *Manager) Publish(ctx context.Context, t tenant.ID, p PublishParams) (catalog.Release, *graph.Plan, error) {
	c, err := m.Check(ctx, t, p.Within, p.Document)
	if err != nil {
		return catalog.Release{}, nil, checkStage(err)
	}
	params := catalog.ReleaseParams{Name: c.Plan.Name, Document: p.Document, Pins: c.Pins, By: keyOf(ctx), Stage: p.Stage}
	claim, err := m.disk.publishing(ctx, t, params)
	if err != nil {
		return catalog.Release{}, nil, storeStage(err)
	}
	defer claim.end(true)
	l, err := m.load(ctx, t, c.Plan, c.Pins)
	if err != nil {
		return catalog.Release{}, nil, inStage(StageLoad, err)
	}
	rel, err := m.cfg.Catalog.PublishGraph(ctx, t, params)
	if err != nil {
		l.close()
		return catalog.Release{}, nil, storeStage(err)
	}
	g := graphKey{t, rel.Name}
	if lease := m.keep(releaseKey{g, rel.Version}, l); lease != nil {
		lease.Done()
	}
	m.follow(ctx, g)
	return rel, c.Plan, nil
}

// keyOf returns the id of the key that ctx's caller came with, "" for none.
func keyOf(ctx context.Context) string {
	p, err := tenant.PrincipalFrom(ctx)
	if err != nil {
		return ""
	}
	return p.KeyID
}

// Plan returns a stored release's plan, compiled against what it pinned. It is shared and must not be changed.
func (m *Manager) Plan(ctx context.Context, rel catalog.Release) (*graph.Plan, error) {
	return m.plans.of(ctx, m.cfg.Catalog, rel)
}

// DeleteGraph removes the release that ref names, or with "" the graph with all its releases; requests that run finish.
func (m *Manager) DeleteGraph(ctx context.Context, t tenant.ID, name, ref string) (catalog.Removed, error) {
	removed, err := m.cfg.Catalog.DeleteGraph(ctx, t, name, ref)
	if err != nil {
		return removed, err
	}
	m.drop(graphKey{t, name}, removed.Versions)
	return removed, nil
}
