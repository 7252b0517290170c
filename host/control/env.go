package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/tenant"
)

// env answers the references of one document for one tenant and notes what each was resolved to. With pins it resolves
// to what a release pinned, otherwise to what the catalog has now of what is within a scope.
type env struct {
	tenant  tenant.ID
	within  Scope // while a new one is checked
	catalog *catalog.Catalog
	plans   *plans
	pins    []catalog.Pin // of the release that is being loaded; nil while a new one is checked
	used    map[refKey]catalog.Pin
	inner   []catalog.Pin // what the graphs that it names pin themselves
	// ctx bounds the look-ups of one compilation, which graph.Env cannot pass on.
	ctx func() context.Context
}

// refKey is one reference as a document writes it.
type refKey struct {
	kind catalog.Kind
	ref  string
}

func newEnv(ctx context.Context, c *catalog.Catalog, plans *plans, t tenant.ID, pins []catalog.Pin) *env {
	return &env{tenant: t, catalog: c, plans: plans, pins: pins, used: map[refKey]catalog.Pin{}, ctx: func() context.Context { return ctx }}
}

// split separates name@ref. The ref is "" for the newest.
func split(ref string) (name, at string) {
	name, at, _ = strings.Cut(ref, "@")
	return name, at
}

// resolve returns the name and the version to ask the catalog for.
func (e *env) resolve(kind catalog.Kind, ref string) (name, at string, err error) {
	name, at = split(ref)
	if e.pins == nil {
		if !e.within.names(kind, name) {
			return "", "", fmt.Errorf("%s %s: %w", kind, ref, graph.ErrNotFound)
		}
		return name, at, nil
	}
	if p, ok := findPin(e.pins, kind, ref); ok {
		return name, fmt.Sprint(p.Version), nil
	}
	return "", "", fmt.Errorf("%s %s is not pinned by this release: %w", kind, ref, graph.ErrNotFound)
}

// Model implements graph.Env.
func (e *env) Model(ref string) (*graph.ModelType, error) {
	name, at, err := e.resolve(catalog.KindModel, ref)
	if err != nil {
		return nil, err
	}
	mod, err := e.catalog.GetModel(e.ctx(), e.tenant, name, at)
	if err != nil {
		return nil, notFound(err)
	}
	sig, err := Signature(mod)
	if err != nil {
		return nil, err
	}
	e.use(catalog.KindModel, ref, mod.Object)
	return graph.ModelTypeOf(sig), nil
}

// Plugin implements graph.Env.
func (e *env) Plugin(ref string) (*abi.Description, error) {
	name, at, err := e.resolve(catalog.KindPlugin, ref)
	if err != nil {
		return nil, err
	}
	p, err := e.catalog.GetPlugin(e.ctx(), e.tenant, name, at)
	if err != nil {
		return nil, notFound(err)
	}
	var d abi.Description
	if err := json.Unmarshal(p.Description, &d); err != nil {
		return nil, fmt.Errorf("description of plugin %s@%d: %w", p.Name, p.Version, err)
	}
	e.use(catalog.KindPlugin, ref, p.Object)
	return &d, nil
}

// Graph implements graph.Env.
func (e *env) Graph(ref string) (*graph.GraphType, error) {
	name, at, err := e.resolve(catalog.KindGraph, ref)
	if err != nil {
		return nil, err
	}
	rel, err := e.catalog.GetGraph(e.ctx(), e.tenant, name, at)
	if err != nil {
		return nil, notFound(err)
	}
	plan, err := e.plans.of(e.ctx(), e.catalog, rel)
	if err != nil {
		// Its faults are not this document's: what was published must compile.
		return nil, fmt.Errorf("graph %s@%d: %s", rel.Name, rel.Version, err.Error())
	}
	e.used[refKey{catalog.KindGraph, ref}] = catalog.Pin{
		Kind: catalog.KindGraph, Name: rel.Name, Version: rel.Version, Digest: rel.Digest, Ref: at,
	}
	for _, p := range rel.Pins {
		p.Ref = string(p.Digest) // how the inner document names it is no way to name it here
		e.inner = append(e.inner, p)
	}
	return plan.Type(), nil
}

// Names implements graph.Namer; a catalog that cannot be read gives no suggestions.
func (e *env) Names(kind string) []string {
	var names []string
	page := catalog.Page{Size: 1000, Only: func(name string) bool { return e.within.names(catalog.Kind(kind), name) }}
	switch kind {
	case "model":
		ms, _, _ := e.catalog.ListModels(e.ctx(), e.tenant, page)
		for i := range ms {
			names = append(names, ms[i].Name)
		}
	case "plugin":
		ps, _, _ := e.catalog.ListPlugins(e.ctx(), e.tenant, page)
		for i := range ps {
			names = append(names, ps[i].Name)
		}
	case "graph":
		gs, _, _ := e.catalog.ListGraphs(e.ctx(), e.tenant, page)
		for i := range gs {
			names = append(names, gs[i].Name)
		}
	}
	return names
}

func (e *env) use(kind catalog.Kind, ref string, o catalog.Object) {
	_, at := split(ref)
	e.used[refKey{kind, ref}] = catalog.Pin{Kind: kind, Name: o.Name, Version: o.Version, Digest: o.Digest, Ref: at}
}

// pinned returns everything that the document refers to, also through graphs.
func (e *env) pinned() []catalog.Pin {
	pins := make([]catalog.Pin, 0, len(e.used)+len(e.inner))
	for _, p := range e.used {
		pins = append(pins, p)
	}
	return append(pins, e.inner...)
}

// notFound makes the catalog's error the one that graph knows.
func notFound(err error) error {
	if errors.Is(err, catalog.ErrNotFound) || errors.Is(err, catalog.ErrInvalid) {
		return fmt.Errorf("%w: %w", graph.ErrNotFound, err)
	}
	return err
}

var (
	_ graph.Env   = (*env)(nil)
	_ graph.Namer = (*env)(nil)
)
