package control

import (
	"context"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Checked is a document that could be published now.
type Checked struct {
	Plan *graph.Plan
	Pins []catalog.Pin
}

// Check checks a document against what the tenant has. The error is graph.Faults with every fault, or one of the
// catalog's.
func (m *Manager) Check(ctx context.Context, t tenant.ID, doc []byte) (*Checked, error) {
	e := newEnv(ctx, m.cfg.Catalog, t, nil)
	plan, err := graph.Check(doc, e)
	if err != nil {
		return nil, err
	}
	return &Checked{Plan: plan, Pins: e.pinned()}, nil
}

// Publish checks a document, loads everything that it runs, stores the release and makes it current. When anything fails,
// what was current stays current. A document that is current already, with the same pins, changes nothing.
func (m *Manager) Publish(ctx context.Context, t tenant.ID, doc []byte) (catalog.Release, *graph.Plan, error) {
	c, err := m.Check(ctx, t, doc)
	if err != nil {
		return catalog.Release{}, nil, err
	}
	l, err := m.load(ctx, t, c.Plan, c.Pins)
	if err != nil {
		return catalog.Release{}, nil, err
	}
	rel, err := m.cfg.Catalog.PublishGraph(ctx, t, catalog.ReleaseParams{Name: c.Plan.Name, Document: doc, Pins: c.Pins})
	if err != nil {
		l.close()
		return catalog.Release{}, nil, err
	}
	m.install(t, rel, l)
	return rel, c.Plan, nil
}

// Plan compiles a stored release again, against what it pinned.
func (m *Manager) Plan(ctx context.Context, rel catalog.Release) (*graph.Plan, error) {
	return graph.Check(rel.Document, newEnv(ctx, m.cfg.Catalog, rel.Tenant, rel.Pins))
}

// DeleteGraph removes a graph with its releases; requests that run finish.
func (m *Manager) DeleteGraph(ctx context.Context, t tenant.ID, name string) error {
	if err := m.cfg.Catalog.DeleteGraph(ctx, t, name); err != nil {
		return err
	}
	m.drop(graphKey{t, name})
	return nil
}
