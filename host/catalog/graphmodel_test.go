package catalog_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/catalog"
)

// The graphs of the model that TestModel compares a catalog with.

type modelGraph struct {
	last, current, before, canary int
	releases                      map[int]modelRelease
	tags                          map[string]int
}

type modelRelease struct {
	doc    string
	name   string // of the model that it pins, "" for none
	pin    int
	staged bool
}

func (g *modelGraph) newest() int {
	n := 0
	for v := range g.releases {
		n = max(n, v)
	}
	return n
}

func (g *modelGraph) previous() int {
	n := 0
	for v, r := range g.releases {
		if v < g.current && !r.staged {
			n = max(n, v)
		}
	}
	return n
}

// live returns the releases that calls may go to.
func (g *modelGraph) live() []int {
	all := append(slices.Collect(maps.Values(g.tags)), g.current, g.before, g.canary, g.newest())
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(v int) bool { return v == 0 })
}

func (g *modelGraph) moveTo(v int) {
	if g.current != v {
		g.before, g.current = g.current, v
	}
	g.canary = 0
	r := g.releases[v]
	r.staged = false
	g.releases[v] = r
}

func (g *modelGraph) resolve(ref string) int {
	if g == nil {
		return 0
	}
	v, ok := map[string]int{
		"": g.current, "current": g.current, "latest": g.newest(), "previous": g.previous(), "canary": g.canary, "1": 1, "2": 2, "3": 3,
	}[ref]
	if !ok {
		v = g.tags[ref]
	}
	if _, ok := g.releases[v]; !ok {
		return 0
	}
	return v
}

// users returns the live releases that pin a model, or with version not 0 that version of it.
func (m *model) users(id objectID, version int) []string {
	var by []string
	for gid, g := range m.graphs {
		for _, v := range g.live() {
			r := g.releases[v]
			if gid.tenant == id.tenant && r.name == id.name && (version == 0 || r.pin == version) {
				by = append(by, fmt.Sprintf("%s@%d", gid.name, v))
			}
		}
	}
	slices.Sort(by)
	return by
}

func (m *model) publish(rt *rapid.T) {
	id := m.draw(rt)
	r := modelRelease{doc: rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "doc")}
	p := catalog.ReleaseParams{Name: id.name, Document: []byte(r.doc), Stage: rapid.Bool().Draw(rt, "stage")}
	exists := true
	if rapid.Bool().Draw(rt, "pins") {
		r.name, r.pin = m.draw(rt).name, rapid.IntRange(1, 4).Draw(rt, "pin")
		content, ok := m.object(objectID{id.tenant, r.name}).versions[r.pin]
		exists = ok
		p.Pins = []catalog.Pin{{Kind: catalog.KindModel, Name: r.name, Version: r.pin, Digest: digest(content)}}
	}
	got, err := m.c.PublishGraph(m.t.Context(), id.tenant, p)
	if !exists {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %v, want %v", err, catalog.ErrNotFound)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	g := m.graphs[id]
	if g == nil {
		g = &modelGraph{releases: map[int]modelRelease{}, tags: map[string]int{}}
		m.graphs[id] = g
	}
	want := g.publish(r, p.Stage)
	if got.Version != want || got.Current != (want == g.current) || got.Staged != g.releases[want].staged {
		rt.Fatalf("got %+v, want version %d", got, want)
	}
}

// publish returns the version that publishing r gives.
func (g *modelGraph) publish(r modelRelease, stage bool) int {
	same := func(v int) bool {
		have, ok := g.releases[v]
		return ok && have.doc == r.doc && have.name == r.name && have.pin == r.pin
	}
	switch {
	case same(g.current):
		return g.current
	case stage && same(g.newest()):
		return g.newest()
	}
	g.last++
	r.staged = stage && g.current != 0
	g.releases[g.last] = r
	if !r.staged {
		g.moveTo(g.last)
	}
	return g.last
}

// pins reports whether what a release pins is there.
func (m *model) pins(id objectID, version int) bool {
	g := m.graphs[id]
	if g == nil {
		return false
	}
	r, ok := g.releases[version]
	if ok && r.name != "" {
		_, ok = m.object(objectID{id.tenant, r.name}).versions[r.pin]
	}
	return ok
}

func (m *model) activate(rt *rapid.T) {
	id, v := m.draw(rt), rapid.IntRange(0, 4).Draw(rt, "version")
	got, err := m.c.ActivateGraph(m.t.Context(), id.tenant, id.name, v)
	if v == 0 {
		v = m.graphs[id].resolve("previous")
	}
	if !m.pins(id, v) {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %+v, %v; want %v", got, err, catalog.ErrNotFound)
		}
		return
	}
	if err != nil || got.Now.Current != v {
		rt.Fatalf("got %+v, %v; want version %d", got, err, v)
	}
	m.graphs[id].moveTo(v)
}

func (m *model) canary(rt *rapid.T) {
	id, v := m.draw(rt), rapid.IntRange(1, 4).Draw(rt, "version")
	got, err := m.c.SetCanary(m.t.Context(), id.tenant, id.name, catalog.CanaryParams{Version: v, Percent: 10})
	switch g := m.graphs[id]; {
	case !m.pins(id, v):
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %+v, %v; want %v", got, err, catalog.ErrNotFound)
		}
	case g.current == v:
		if !errors.Is(err, catalog.ErrInvalid) {
			rt.Fatalf("got %+v, %v; want %v", got, err, catalog.ErrInvalid)
		}
	case err != nil || got.Now.Canary == nil || got.Now.Canary.Version != v:
		rt.Fatalf("got %+v, %v; want canary %d", got, err, v)
	default:
		g.canary = v
	}
}

func (m *model) promote(rt *rapid.T) {
	id := m.draw(rt)
	got, err := m.c.PromoteCanary(m.t.Context(), id.tenant, id.name, 0)
	v := m.graphs[id].resolve("canary")
	if v == 0 {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %+v, %v; want %v", got, err, catalog.ErrNotFound)
		}
		return
	}
	if err != nil || got.Now.Current != v || got.Now.Canary != nil {
		rt.Fatalf("got %+v, %v; want current %d", got, err, v)
	}
	m.graphs[id].moveTo(v)
}

func (m *model) abort(rt *rapid.T) {
	id := m.draw(rt)
	got, err := m.c.AbortCanary(m.t.Context(), id.tenant, id.name)
	v := m.graphs[id].resolve("canary")
	if (err == nil) != (v != 0) {
		rt.Fatalf("got %+v, %v with canary %d", got, err, v)
	}
	if v != 0 {
		m.graphs[id].canary = 0
	}
}

func (m *model) tagGraph(rt *rapid.T) {
	id, tag := m.draw(rt), rapid.SampledFrom([]string{"prod", "stage"}).Draw(rt, "tag")
	v := rapid.IntRange(0, 4).Draw(rt, "version")
	if v == 0 {
		_, err := m.c.DeleteTag(m.t.Context(), catalog.KindGraph, id.tenant, id.name, tag)
		if there := m.graphs[id].resolve(tag) != 0; there != (err == nil) {
			rt.Fatalf("got %v", err)
		} else if there {
			delete(m.graphs[id].tags, tag)
		}
		return
	}
	was, err := m.c.SetTag(m.t.Context(), catalog.KindGraph, id.tenant, id.name, tag, v)
	if !m.pins(id, v) {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %v, want %v", err, catalog.ErrNotFound)
		}
		return
	}
	if g := m.graphs[id]; err != nil || was != g.tags[tag] {
		rt.Fatalf("got %d, %v; want %d", was, err, g.tags[tag])
	}
	m.graphs[id].tags[tag] = v
}

func (m *model) getGraph(rt *rapid.T) {
	id := m.draw(rt)
	ref := rapid.SampledFrom([]string{"", "latest", "1", "2", "current", "previous", "canary", "prod", "stage"}).Draw(rt, "ref")
	got, err := m.c.GetGraph(m.t.Context(), id.tenant, id.name, ref)
	g, v := m.graphs[id], m.graphs[id].resolve(ref)
	if v == 0 {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %+v, %v; want %v", got, err, catalog.ErrNotFound)
		}
		return
	}
	if err != nil || got.Version != v || string(got.Document) != g.releases[v].doc || got.Current != (v == g.current) {
		rt.Fatalf("%q: got %+v, %v; want version %d", ref, got, err, v)
	}
}

func (m *model) deleteGraph(rt *rapid.T) {
	id, ref := m.draw(rt), rapid.SampledFrom([]string{"", "", "1", "2", "3", "latest"}).Draw(rt, "ref")
	got, err := m.c.DeleteGraph(m.t.Context(), id.tenant, id.name, ref)
	g, v := m.graphs[id], m.graphs[id].resolve(ref)
	if v == 0 {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %v, want %v", err, catalog.ErrNotFound)
		}
		return
	}
	if ref == "" {
		if err != nil || len(got.Versions) != len(g.releases) || len(got.Tags) != len(g.tags) {
			rt.Fatalf("got %+v, %v; want %+v", got, err, g)
		}
		*g = modelGraph{last: g.last, releases: map[int]modelRelease{}, tags: map[string]int{}}
		return
	}
	if v == g.current || v == g.canary || slices.Contains(slices.Collect(maps.Values(g.tags)), v) {
		if _, ok := errors.AsType[*catalog.InUseError](err); !ok {
			rt.Fatalf("got %v, want in use", err)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	delete(g.releases, v)
	if g.before == v {
		g.before = 0
	}
}
