package control

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
)

// modelKey and pluginKey say what may share a loaded thing: the same bytes of the same tenant, and for models served alike.
type modelKey struct {
	tenant  tenant.ID
	digest  blob.Digest
	options string // catalog.Model.Options
}

type pluginKey struct {
	tenant tenant.ID
	digest blob.Digest
}

// load loads what a plan runs. The result is nobody's yet: install or close it.
func (m *Manager) load(ctx context.Context, t tenant.ID, plan *graph.Plan, pins []catalog.Pin) (*loaded, error) {
	l := &loaded{release: &engine.Release{Name: plan.Name, Plan: plan, Targets: make([]engine.Target, len(plan.Nodes))}}
	for i := range plan.Nodes {
		target, err := m.target(ctx, t, &plan.Nodes[i], pins, l)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("graph %s node %s: %w", plan.Name, plan.Nodes[i].Name, err)
		}
		l.release.Targets[i] = target
	}
	return l, nil
}

// target loads what one node runs; l gives it back when it is closed.
func (m *Manager) target(ctx context.Context, t tenant.ID, n *graph.PlanNode, pins []catalog.Pin, l *loaded) (engine.Target, error) {
	if n.Kind == graph.KindSplit {
		return nil, nil //nolint:nilnil // the engine chooses; nothing is loaded
	}
	kind := map[graph.Kind]catalog.Kind{
		graph.KindModel: catalog.KindModel, graph.KindPlugin: catalog.KindPlugin, graph.KindGraph: catalog.KindGraph,
	}[n.Kind]
	pin, ok := findPin(pins, kind, n.Ref)
	if !ok {
		return nil, fmt.Errorf("%s %s is not pinned", kind, n.Ref)
	}
	label := fmt.Sprintf("%s@%d", pin.Name, pin.Version)
	of := engine.Of{Label: label, Digest: string(pin.Digest)}
	switch n.Kind {
	case graph.KindModel:
		run, err := m.model(ctx, t, of, l)
		if err != nil {
			return nil, err
		}
		return engine.Model(run, of), nil
	case graph.KindPlugin:
		p, giveBack, err := m.plugins.take(ctx, pluginKey{t, pin.Digest}, func(ctx context.Context) (*sandbox.Plugin, error) {
			return m.openPlugin(ctx, t, pin.Digest)
		}, m.closePlugin)
		if err != nil {
			return nil, err
		}
		l.giveBack = append(l.giveBack, giveBack)
		if err := p.Warm(ctx, n.Function, n.With, m.spend(ctx)); err != nil {
			return nil, warmError{err}
		}
		models, err := m.callees(ctx, t, n, pins, l)
		if err != nil {
			return nil, err
		}
		return engine.PluginFunction(p, of, n.Function, models...), nil
	case graph.KindGraph:
		return m.subgraph(ctx, t, pin, l)
	case graph.KindSplit:
	}
	return nil, fmt.Errorf("a node of this kind cannot be loaded")
}

// model loads a model; l gives it back when it is closed.
func (m *Manager) model(ctx context.Context, t tenant.ID, of engine.Of, l *loaded) (runners.Runner, error) {
	name, version := split(of.Label)
	mod, err := m.cfg.Catalog.GetModel(ctx, t, name, version)
	if err != nil {
		return nil, err
	}
	run, giveBack, err := m.models.take(ctx, keyOfModel(mod), func(ctx context.Context) (*resident, error) {
		return m.openModel(ctx, mod)
	}, m.closeModel)
	if err != nil {
		return nil, err
	}
	l.giveBack = append(l.giveBack, giveBack)
	return run, nil
}

func keyOfModel(mod catalog.Model) modelKey {
	return modelKey{mod.Tenant, mod.Digest, string(mod.Options)}
}

// callees loads the models that a plugin may run itself.
func (m *Manager) callees(ctx context.Context, t tenant.ID, n *graph.PlanNode, pins []catalog.Pin, l *loaded) ([]engine.Callee, error) {
	out := make([]engine.Callee, 0, len(n.MayCall))
	for _, ref := range n.MayCall {
		pin, ok := findPin(pins, catalog.KindModel, ref)
		if !ok {
			return nil, fmt.Errorf("model %s is not pinned", ref)
		}
		of := engine.Of{Label: fmt.Sprintf("%s@%d", pin.Name, pin.Version), Digest: string(pin.Digest)}
		run, err := m.model(ctx, t, of, l)
		if err != nil {
			return nil, err
		}
		out = append(out, engine.Callee{Ref: ref, Of: of, Runner: run})
	}
	return out, nil
}

func findPin(pins []catalog.Pin, kind catalog.Kind, ref string) (catalog.Pin, bool) {
	name, at := split(ref)
	for _, p := range pins {
		if p.Kind == kind && p.Name == name && p.Ref == at {
			return p, true
		}
	}
	return catalog.Pin{}, false
}

func (m *Manager) subgraph(ctx context.Context, t tenant.ID, pin catalog.Pin, l *loaded) (engine.Target, error) {
	rel, err := m.cfg.Catalog.GetGraph(ctx, t, pin.Name, fmt.Sprint(pin.Version))
	if err != nil {
		return nil, err
	}
	plan, err := m.Plan(ctx, rel)
	if err != nil {
		return nil, err
	}
	inner, err := m.load(ctx, t, plan, rel.Pins)
	if err != nil {
		return nil, err
	}
	inner.release.Version, inner.release.Digest = rel.Version, string(rel.Digest)
	l.giveBack = append(l.giveBack, inner.close)
	return engine.Graph(inner.release), nil
}

// openModel brings a model into memory, as a release that is loaded needs it.
func (m *Manager) openModel(ctx context.Context, mod catalog.Model) (*resident, error) {
	serving, err := servingOf(mod)
	if err != nil {
		return nil, err
	}
	r := m.life.resident(keyOfModel(mod), fmt.Sprintf("%s@%d", mod.Name, mod.Version), mod.Size, serving)
	if err := r.ensure(ctx); err != nil {
		m.closeModel(r)
		return nil, err
	}
	return r, nil
}

func (m *Manager) openPlugin(ctx context.Context, t tenant.ID, d blob.Digest) (*sandbox.Plugin, error) {
	b, err := m.cfg.Blobs.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }() // nothing was written
	return m.cfg.Sandbox.LoadFor(ctx, m.loading(ctx, t), b.Bytes())
}

// loading has a plugin loaded for a tenant, who pays.
func (m *Manager) loading(ctx context.Context, t tenant.ID) sandbox.Loading {
	return sandbox.Loading{Tenant: string(t), Spend: m.spend(ctx)}
}

// spend returns what is told of the guests that run for a call; nil is nobody.
func (m *Manager) spend(ctx context.Context) func(fuel uint64, core time.Duration) error {
	if m.cfg.Spent == nil {
		return nil
	}
	return func(fuel uint64, core time.Duration) error {
		m.cfg.Spent(ctx, engine.Spent{Fuel: fuel, Compute: core})
		return nil
	}
}
