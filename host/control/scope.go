package control

import (
	"context"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Scope is what a caller may see and change of what its tenant has: everything, or for a caller that is kept to some graphs
//
//   - these graphs, and the models and plugins that are named after them (tenant.Principal.HasNamed), to see and to change;
//   - models and plugins that live releases of these graphs run, also through other graphs, to see;
//   - and what documents of these graphs may name: all that, and the graphs that their live releases call.
//
// All of it is decided by names, before anything is looked up: outside of a scope, what is there and what is not look the same. The
// zero Scope is everything. Its methods may overlap.
type Scope struct {
	caller tenant.Principal
	runs   map[thing]struct{} // of live releases
}

// thing is a model, plugin or graph by name.
type thing struct {
	kind catalog.Kind
	name string
}

// Scope returns a caller's scope as it is now. The error is one of the catalog's.
func (m *Manager) Scope(ctx context.Context, p tenant.Principal) (Scope, error) {
	s := Scope{caller: p}
	if !p.Scoped() {
		return s, nil
	}
	s.runs = map[thing]struct{}{}
	for _, g := range p.Graphs {
		pins, err := m.cfg.Catalog.PinnedBy(ctx, p.Tenant, g)
		if err != nil {
			return Scope{}, err
		}
		for _, pin := range pins {
			s.runs[thing{pin.Kind, pin.Name}] = struct{}{}
		}
	}
	return s, nil
}

// Changes reports whether the caller may change what has that name, if its role lets it change anything.
func (s Scope) Changes(kind catalog.Kind, name string) bool {
	if kind == catalog.KindGraph {
		return s.caller.HasGraph(name)
	}
	return s.caller.HasNamed(name)
}

// Sees reports whether the caller may read what has that name.
func (s Scope) Sees(kind catalog.Kind, name string) bool {
	return s.Changes(kind, name) || kind != catalog.KindGraph && s.run(kind, name)
}

// names reports whether a document of the caller's may name it.
func (s Scope) names(kind catalog.Kind, name string) bool {
	return s.Changes(kind, name) || s.run(kind, name)
}

func (s Scope) run(kind catalog.Kind, name string) bool {
	_, ok := s.runs[thing{kind, name}]
	return ok
}
