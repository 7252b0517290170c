package catalog_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// TestModel compares a catalog with plain maps over random calls and restarts.
func TestModel(t *testing.T) {
	m := &model{t: t, cfg: catalog.Config{Dir: t.TempDir(), Logger: discard}}
	m.restart()
	defer func() { m.c.Close(t.Context()) }()
	rapid.Check(t, func(rt *rapid.T) {
		m.reset()
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.put, "put2": m.put, "get": m.get, "tag": m.tag, "untag": m.untag, "delete": m.delete, "publish": m.publish,
			"publish2": m.publish, "activate": m.activate, "deleteGraph": m.deleteGraph, "getGraph": m.getGraph,
			"stage": m.publish, "canary": m.canary, "promote": m.promote, "abort": m.abort, "tagGraph": m.tagGraph, "rollBack": m.activate,
			"list": m.list,
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "really") == 0 {
					m.restart()
				}
			},
		})
	})
}

type objectID struct {
	tenant tenant.ID
	name   string
}

type modelObject struct {
	last     int
	versions map[int]int // version to content
	tags     map[string]int
}

type model struct {
	t   *testing.T
	cfg catalog.Config
	c   *catalog.Catalog
	// tenants are fresh ones in every run, so that all runs can share a catalog.
	tenants []tenant.ID
	runs    int
	models  map[objectID]*modelObject
	graphs  map[objectID]*modelGraph
}

func (m *model) reset() {
	m.runs++
	m.tenants = []tenant.ID{tenant.ID(fmt.Sprint("acme-", m.runs)), tenant.ID(fmt.Sprint("zeta-", m.runs))}
	m.models, m.graphs = map[objectID]*modelObject{}, map[objectID]*modelGraph{}
}

func (m *model) restart() {
	if m.c != nil {
		m.c.Close(m.t.Context())
	}
	c, err := catalog.Open(m.t.Context(), m.cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	m.c = c
}

func (m *model) draw(rt *rapid.T) objectID {
	return objectID{
		m.tenants[rapid.IntRange(0, 1).Draw(rt, "tenant")],
		rapid.SampledFrom([]string{"m", "n.x"}).Draw(rt, "name"),
	}
}

func (m *model) object(id objectID) *modelObject {
	if m.models[id] == nil {
		return &modelObject{}
	}
	return m.models[id]
}

func (o *modelObject) newest() int {
	n := 0
	for v := range o.versions {
		n = max(n, v)
	}
	return n
}

// resolve returns the version that a reference names, 0 for none.
func (o *modelObject) resolve(ref string) int {
	switch ref {
	case "", "latest":
		return o.newest()
	case "1", "2", "3":
		v := int(ref[0] - '0')
		if _, ok := o.versions[v]; ok {
			return v
		}
		return 0
	}
	return o.tags[ref]
}

var genRef = rapid.SampledFrom([]string{"", "latest", "1", "2", "3", "prod", "stage"})

func (m *model) put(rt *rapid.T) {
	id := m.draw(rt)
	content := rapid.IntRange(1, 4).Draw(rt, "content")
	got, err := m.c.PutModel(m.t.Context(), id.tenant, catalog.ModelParams{Name: id.name, Digest: digest(content), Size: 1})
	if err != nil {
		rt.Fatal(err)
	}
	o := m.models[id]
	if o == nil {
		o = &modelObject{versions: map[int]int{}, tags: map[string]int{}}
		m.models[id] = o
	}
	if n := o.newest(); n == 0 || o.versions[n] != content {
		o.last++
		o.versions[o.last] = content
	}
	if got.Version != o.newest() || got.Digest != digest(content) {
		rt.Fatalf("got %+v, want version %d", got, o.newest())
	}
}

func (m *model) get(rt *rapid.T) {
	id, ref := m.draw(rt), genRef.Draw(rt, "ref")
	got, err := m.c.GetModel(m.t.Context(), id.tenant, id.name, ref)
	v := m.object(id).resolve(ref)
	if v == 0 {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %+v, %v; want %v", got, err, catalog.ErrNotFound)
		}
		return
	}
	if err != nil || got.Version != v || got.Digest != digest(m.object(id).versions[v]) {
		rt.Fatalf("%s: got %+v, %v; want version %d", ref, got, err, v)
	}
}

func (m *model) tag(rt *rapid.T) {
	id, tag := m.draw(rt), rapid.SampledFrom([]string{"prod", "stage"}).Draw(rt, "tag")
	v := rapid.IntRange(1, 4).Draw(rt, "version")
	err := errOf(m.c.SetTag(m.t.Context(), catalog.KindModel, id.tenant, id.name, tag, v))
	if _, ok := m.object(id).versions[v]; !ok {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %v, want %v", err, catalog.ErrNotFound)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.models[id].tags[tag] = v
}

func (m *model) untag(rt *rapid.T) {
	id, tag := m.draw(rt), rapid.SampledFrom([]string{"prod", "stage"}).Draw(rt, "tag")
	err := errOf(m.c.DeleteTag(m.t.Context(), catalog.KindModel, id.tenant, id.name, tag))
	if _, ok := m.object(id).tags[tag]; ok != (err == nil) {
		rt.Fatalf("got %v", err)
	}
	delete(m.object(id).tags, tag)
}

func (m *model) delete(rt *rapid.T) {
	id, ref := m.draw(rt), genRef.Draw(rt, "ref")
	err := errOf(m.c.DeleteModel(m.t.Context(), id.tenant, id.name, ref))
	v := m.object(id).resolve(ref)
	if v == 0 {
		if !errors.Is(err, catalog.ErrNotFound) {
			rt.Fatalf("got %v, want %v", err, catalog.ErrNotFound)
		}
		return
	}
	if ref == "" {
		v = 0
	}
	if by := m.users(id, v); len(by) > 0 {
		var inUse *catalog.InUseError
		if !errors.As(err, &inUse) || !slices.Equal(inUse.By, by) {
			rt.Fatalf("got %v, want in use by %v", err, by)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	o := m.models[id]
	maps.DeleteFunc(o.versions, func(n, _ int) bool { return v == 0 || n == v })
	maps.DeleteFunc(o.tags, func(_ string, n int) bool { return v == 0 || n == v })
}

// list compares the lists.
func (m *model) list(rt *rapid.T) {
	for _, t := range m.tenants {
		ms, _, err := m.c.ListModels(m.t.Context(), t, catalog.Page{})
		gs, _, err2 := m.c.ListGraphs(m.t.Context(), t, catalog.Page{})
		if err := cmp.Or(err, err2); err != nil {
			rt.Fatal(err)
		}
		var got, wants []string
		for _, o := range ms {
			got = append(got, fmt.Sprint("model ", o.Name, o.Version))
		}
		for _, g := range gs {
			got = append(got, fmt.Sprint("graph ", g.Name, g.Version, len(g.Pins)))
		}
		for id, o := range m.models {
			if id.tenant == t && len(o.versions) > 0 {
				wants = append(wants, fmt.Sprint("model ", id.name, o.newest()))
			}
		}
		for id, g := range m.graphs {
			if id.tenant == t && len(g.releases) > 0 {
				wants = append(wants, fmt.Sprint("graph ", id.name, g.current, min(g.releases[g.current].pin, 1)))
			}
		}
		slices.Sort(got)
		slices.Sort(wants)
		if !slices.Equal(got, wants) {
			rt.Fatalf("got %v, want %v", got, wants)
		}
	}
}
