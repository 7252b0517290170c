package catalog_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestPublish(t *testing.T) {
	clk := newClock()
	dir := t.TempDir()
	c := open(t, catalog.Config{Dir: dir, Now: clk.Now})
	a1, b1 := put(t, c, "a", 1), put(t, c, "b", 1)
	doc := "graph: g\n# ünïcode <&>\x00\xff\n"
	r1 := publish(t, c, "g", doc, pinOf(b1), pinOf(a1), pinOf(b1))
	wantR1 := catalog.Release{
		Tenant: "acme", Name: "g", Version: 1, Document: []byte(doc), Pins: []catalog.Pin{pinOf(a1), pinOf(b1)},
		Digest: r1.Digest, CreatedAt: clk.Now(), Current: true, Tags: []string{catalog.Latest},
	}
	if diff := cmp.Diff(wantR1, r1); diff != "" || !r1.Digest.Valid() {
		t.Errorf("first release (-want +got):\n%s", diff)
	}
	if again := publish(t, c, "g", doc, pinOf(a1), pinOf(b1)); cmp.Diff(r1, again) != "" {
		t.Errorf("the same again: got %+v", again)
	}
	a2 := put(t, c, "a", 2)
	clk.Advance(time.Minute)
	r2 := publish(t, c, "g", doc, pinOf(a2), pinOf(b1))
	if r2.Version != 2 || r2.Digest == r1.Digest {
		t.Errorf("the same document with another pin: got %+v", r2)
	}
	c.Close(t.Context())
	c = open(t, catalog.Config{Dir: dir, Now: clk.Now})
	r1.Current, r1.Tags = false, nil
	for ref, w := range map[string]catalog.Release{
		"": r2, "@latest": r2, "1": r1, "@2": r2, string(r1.Digest): r1,
	} {
		got, err := c.GetGraph(t.Context(), "acme", "g", ref)
		if diff := cmp.Diff(w, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", ref, err, diff)
		}
	}
	for ref, target := range map[string]error{"3": catalog.ErrNotFound, "prod": catalog.ErrNotFound, "0": catalog.ErrInvalid} {
		_, err := c.GetGraph(t.Context(), "acme", "g", ref)
		want(t, ref, err, target)
	}
	g, err := c.DescribeGraph(t.Context(), "acme", "g")
	rels := g.Releases
	if err != nil || len(rels) != 2 || rels[0].Version != 2 || !rels[0].Current || rels[1].Current || g.Current != 2 || g.Previous != 1 {
		t.Errorf("got %+v, %v", g, err)
	}

	// roll back
	back, err := c.ActivateGraph(t.Context(), "acme", "g", 0)
	if err != nil || back.Was.Current != 2 || back.Now.Current != 1 {
		t.Errorf("roll-back: got %+v, %v", back, err)
	}
	r1.Current = true
	got, err := c.GetGraph(t.Context(), "acme", "g", "")
	if diff := cmp.Diff(r1, got); diff != "" || err != nil {
		t.Errorf("after the roll-back: %v (-want +got):\n%s", err, diff)
	}
	if got, err := c.GetGraph(t.Context(), "acme", "g", "latest"); err != nil || got.Version != 2 {
		t.Errorf("got %+v, %v; want version 2", got, err)
	}
	if _, err := c.ActivateGraph(t.Context(), "acme", "g", 1); err != nil {
		t.Errorf("again: %v", err)
	}
	for _, v := range []int{0, 3} {
		_, err := c.ActivateGraph(t.Context(), "acme", "g", v)
		want(t, "activate", err, catalog.ErrNotFound)
	}
	// what only the release before pins stays; when that is not the one before any more it can go, and then there is no
	// way back to it
	var inUse *catalog.InUseError
	if err := errOf(c.DeleteModel(t.Context(), "acme", "a", "2")); !errors.As(err, &inUse) || !slices.Equal(inUse.By, []string{"g@2"}) {
		t.Errorf("delete what the release before needs: got %v", err)
	}
	publish(t, c, "g", "3", pinOf(a1), pinOf(b1))
	want(t, "delete", errOf(c.DeleteModel(t.Context(), "acme", "a", "2")), nil)
	_, err = c.ActivateGraph(t.Context(), "acme", "g", 2)
	want(t, "activate without a model", err, catalog.ErrNotFound)
	if err == nil || !strings.Contains(err.Error(), "model a@2") {
		t.Errorf("the error does not name the pin: %v", err)
	}
	if ls, _, err := c.ListGraphs(t.Context(), "acme", catalog.Page{}); err != nil || len(ls) != 1 || ls[0].Version != 3 || ls[0].Document != nil || len(ls[0].Pins) != 2 {
		t.Errorf("got %+v, %v", ls, err)
	}
}

func TestPublishRefuses(t *testing.T) {
	c := open(t, catalog.Config{})
	m := put(t, c, "m", 1)
	with := func(change func(*catalog.Pin)) []catalog.Pin {
		p := pinOf(m)
		change(&p)
		return []catalog.Pin{pinOf(m), p}
	}
	for name, tc := range map[string]struct {
		p    catalog.ReleaseParams
		want error
	}{
		"name":          {catalog.ReleaseParams{Name: "", Document: []byte("x")}, tenant.ErrName},
		"no document":   {catalog.ReleaseParams{Name: "g"}, catalog.ErrLimit},
		"huge document": {catalog.ReleaseParams{Name: "g", Document: bytes.Repeat([]byte("x"), 1<<20+1)}, catalog.ErrLimit},
		"many pins":     {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: make([]catalog.Pin, 5000)}, catalog.ErrLimit},
		"kind":          {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Kind = "key" })}, catalog.ErrInvalid},
		"pin name":      {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Name = "*" })}, tenant.ErrName},
		"pin version":   {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Version = 0 })}, catalog.ErrInvalid},
		"pin digest":    {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Digest = "" })}, catalog.ErrInvalid},
		"two digests":   {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Digest = digest(2) })}, catalog.ErrInvalid},
		"no such model": {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Name = "n" })}, catalog.ErrNotFound},
		"no version":    {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Version = 2 })}, catalog.ErrNotFound},
		"other kind":    {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Kind = catalog.KindPlugin })}, catalog.ErrNotFound},
		"no graph":      {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: with(func(p *catalog.Pin) { p.Kind = catalog.KindGraph })}, catalog.ErrNotFound},
		"other digest": {catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: []catalog.Pin{{
			Kind: catalog.KindModel, Name: "m", Version: 1, Digest: digest(2),
		}}}, catalog.ErrNotFound},
	} {
		_, err := c.PublishGraph(t.Context(), "acme", tc.p)
		want(t, name, err, tc.want)
	}
	_, err := c.GetGraph(t.Context(), "acme", "g", "")
	want(t, "get", err, catalog.ErrNotFound)
	if keys, err := c.Keys(t.Context(), "release.>"); len(keys) != 0 || err != nil {
		t.Errorf("refused releases were stored: %v, %v", keys, err)
	}
	// a refused publication leaves nothing in the way of a deletion
	want(t, "delete", errOf(c.DeleteModel(t.Context(), "acme", "m", "")), nil)
}

func TestInUse(t *testing.T) {
	c := open(t, catalog.Config{})
	m1, m2 := put(t, c, "m", 1), put(t, c, "m", 2)
	inner := publish(t, c, "inner", "x", pinOf(m1))
	publish(t, c, "outer", "x", graphPin(inner), pinOf(m1))
	publish(t, c, "outer2", "x", graphPin(inner), pinOf(m1), pinOf(m2))
	for _, tc := range []struct {
		what   string
		delete func() error
		by     []string
	}{
		{"m", func() error { return errOf(c.DeleteModel(t.Context(), "acme", "m", "")) }, []string{"inner@1", "outer2@1", "outer@1"}},
		{"m@1", func() error { return errOf(c.DeleteModel(t.Context(), "acme", "m", "1")) }, []string{"inner@1", "outer2@1", "outer@1"}},
		{"m@latest", func() error { return errOf(c.DeleteModel(t.Context(), "acme", "m", "latest")) }, []string{"outer2@1"}},
		{"inner", func() error { return errOf(c.DeleteGraph(t.Context(), "acme", "inner", "")) }, []string{"outer2@1", "outer@1"}},
	} {
		var inUse *catalog.InUseError
		if err := tc.delete(); !errors.As(err, &inUse) {
			t.Errorf("%s: got %v, want in use", tc.what, err)
		} else if diff := cmp.Diff(tc.by, inUse.By); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.what, diff)
		}
	}
	publish(t, c, "outer2", "y", pinOf(m2))
	publish(t, c, "outer2", "z", pinOf(m2)) // the first is not even the one before any more
	want(t, "delete outer", errOf(c.DeleteGraph(t.Context(), "acme", "outer", "")), nil)
	want(t, "delete inner", errOf(c.DeleteGraph(t.Context(), "acme", "inner", "")), nil)
	want(t, "delete m@1", errOf(c.DeleteModel(t.Context(), "acme", "m", "1")), nil)
	_, err := c.GetGraph(t.Context(), "acme", "inner", "1")
	want(t, "get a release of a deleted graph", err, catalog.ErrNotFound)
	want(t, "delete again", errOf(c.DeleteGraph(t.Context(), "acme", "inner", "")), catalog.ErrNotFound)
	if r := publish(t, c, "inner", "x", pinOf(m2)); r.Version != 2 {
		t.Errorf("got version %d, want 2: a number is not used twice", r.Version)
	}
	// a graph that pins an earlier release of itself can be deleted
	self := publish(t, c, "self", "x")
	publish(t, c, "self", "y", graphPin(self))
	want(t, "delete self", errOf(c.DeleteGraph(t.Context(), "acme", "self", "")), nil)
	if keys, err := c.Keys(t.Context(), "release.>"); len(keys) != 4 || err != nil {
		t.Errorf("got %d release records, %v; want 4", len(keys), err)
	}
}

func TestLeases(t *testing.T) {
	clk := newClock()
	c := open(t, catalog.Config{Now: clk.Now})
	m, g := put(t, c, "m", 1), publish(t, c, "g", "x")
	want(t, "lease", c.Lease(t.Context(), "acme", "dead", []catalog.Pin{graphPin(g), pinOf(m)}), nil)
	want(t, "delete model", errOf(c.DeleteModel(t.Context(), "acme", "m", "")), catalog.ErrConflict)
	want(t, "delete graph", errOf(c.DeleteGraph(t.Context(), "acme", "g", "")), catalog.ErrConflict)
	put(t, c, "m", 2) // all else goes on
	clk.Advance(catalog.LeaseTime)
	want(t, "delete model later", errOf(c.DeleteModel(t.Context(), "acme", "m", "")), nil)
	want(t, "delete graph later", errOf(c.DeleteGraph(t.Context(), "acme", "g", "")), nil)

	now := clk.Now()
	ends := map[string]time.Time{"a": now, "b": now.Add(-1)}
	if catalog.HeldLeases(ends, now) || len(ends) != 0 {
		t.Errorf("ended leases are held: %v", ends)
	}
	if ends["c"] = now.Add(1); !catalog.HeldLeases(ends, now) {
		t.Error("a lease is not held")
	}
	if catalog.HeldLeases(nil, now) {
		t.Error("no leases are held")
	}
}

// TestPublishTooSlow has the time run out between lease and publication.
func TestPublishTooSlow(t *testing.T) {
	clk := newClock()
	var slow atomic.Bool
	c := open(t, catalog.Config{Now: func() time.Time {
		if slow.Load() {
			clk.Advance(catalog.LeaseTime)
		}
		return clk.Now()
	}})
	m := put(t, c, "m", 1)
	slow.Store(true)
	_, err := c.PublishGraph(t.Context(), "acme", catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: []catalog.Pin{pinOf(m)}})
	want(t, "publish", err, catalog.ErrConflict)
	slow.Store(false)
	_, err = c.GetGraph(t.Context(), "acme", "g", "")
	want(t, "get", err, catalog.ErrNotFound)
	publish(t, c, "g", "x", pinOf(m))
}

// TestDeletePublishHammer deletes models while graphs that pin them are published: whoever wins, a current release has
// all it pins.
func TestDeletePublishHammer(t *testing.T) {
	c := open(t, catalog.Config{})
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	published, deleted := 0, 0
	for i := range rounds {
		m := put(t, c, "m", i)
		var wg sync.WaitGroup
		var pubErr, delErr error
		wg.Go(func() {
			_, pubErr = c.PublishGraph(t.Context(), "acme", catalog.ReleaseParams{
				Name: "g", Document: fmt.Append(nil, i), Pins: []catalog.Pin{pinOf(m)},
			})
		})
		wg.Go(func() {
			if i%2 == 0 {
				delErr = errOf(c.DeleteModel(t.Context(), "acme", "m", fmt.Sprint(m.Version)))
			} else {
				delErr = errOf(c.DeleteModel(t.Context(), "acme", "m", ""))
			}
		})
		wg.Wait()
		var inUse *catalog.InUseError
		switch {
		case pubErr == nil && errors.As(delErr, &inUse):
			published++
		case errors.Is(pubErr, catalog.ErrNotFound) && delErr == nil:
			deleted++
		case errors.Is(pubErr, catalog.ErrNotFound) && errors.As(delErr, &inUse): // the release before pins it too
		default:
			t.Fatalf("round %d: publish %v, delete %v", i, pubErr, delErr)
		}
		checkPins(t, c)
	}
	t.Logf("%d published, %d deleted", published, deleted)
}

// checkPins fails unless all live releases of acme's graphs have what they pin.
func checkPins(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	gs, _, err := c.ListGraphs(t.Context(), "acme", catalog.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gs {
		held, err := c.Pinned(t.Context(), "acme", g.Name)
		if err != nil {
			t.Fatal(err)
		}
		for v, pins := range held {
			for _, p := range pins {
				m, err := c.GetModel(t.Context(), "acme", p.Name, fmt.Sprint(p.Version))
				if err != nil || m.Digest != p.Digest {
					t.Fatalf("%s@%d pins %s@%d: %v", g.Name, v, p.Name, p.Version, err)
				}
			}
		}
	}
}

// TestPublishHammer has many publishers of one graph: each release has its own version, the last one is current, and no
// lease stays behind.
func TestPublishHammer(t *testing.T) {
	c := open(t, catalog.Config{})
	m := put(t, c, "m", 1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	byVersion := map[int]string{}
	for w := range 6 {
		wg.Go(func() {
			for i := range 6 {
				doc := fmt.Sprint(w, i)
				r, err := c.PublishGraph(t.Context(), "acme", catalog.ReleaseParams{
					Name: "g", Document: []byte(doc), Pins: []catalog.Pin{pinOf(m)},
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				byVersion[r.Version] = doc
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(byVersion) != 36 {
		t.Fatalf("%d versions, want 36", len(byVersion))
	}
	for v, doc := range byVersion {
		r, err := c.GetGraph(t.Context(), "acme", "g", fmt.Sprint(v))
		if err != nil || string(r.Document) != doc || r.Current != (v == 36) {
			t.Errorf("version %d: got %+v, %v; want document %s", v, r, err, doc)
		}
	}
	want(t, "delete graph", errOf(c.DeleteGraph(t.Context(), "acme", "g", "")), nil)
	want(t, "delete model", errOf(c.DeleteModel(t.Context(), "acme", "m", "")), nil)
}

func TestReleasesAreTrimmed(t *testing.T) {
	if testing.Short() {
		t.Skip("publishes two hundred times")
	}
	c := open(t, catalog.Config{})
	for i := range catalog.MaxReleases + 5 {
		switch r := publish(t, c, "g", fmt.Sprint(i)); r.Version {
		case 2:
			publish(t, c, "outer", "x", graphPin(r))
		case 3:
			want(t, "tag", errOf(c.SetTag(t.Context(), catalog.KindGraph, "acme", "g", "prod", 3)), nil)
		}
	}
	numbers := func() (oldest []int) {
		t.Helper()
		g, err := c.DescribeGraph(t.Context(), "acme", "g")
		if err != nil || len(g.Releases) != catalog.MaxReleases {
			t.Fatalf("got %d releases, %v; want %d", len(g.Releases), err, catalog.MaxReleases)
		}
		for _, r := range slices.Backward(g.Releases) {
			if oldest = append(oldest, r.Version); len(oldest) == 4 {
				break
			}
		}
		return oldest
	}
	// 2 is pinned by another graph, 3 has a tag
	if got := numbers(); !slices.Equal(got, []int{2, 3, 8, 9}) {
		t.Errorf("the oldest are %v", got)
	}
	// a canary and the current release stay however old they are; what is not the canary any more goes
	want(t, "roll back", errOf(c.ActivateGraph(t.Context(), "acme", "g", 9)), nil)
	want(t, "canary", errOf(c.SetCanary(t.Context(), "acme", "g", catalog.CanaryParams{Version: 8, Percent: 1})), nil)
	for i := range 6 {
		stage(t, c, "g", fmt.Sprint("staged ", i))
	}
	if got := numbers(); !slices.Equal(got, []int{2, 3, 8, 9}) {
		t.Errorf("with a canary the oldest are %v", got)
	}
	want(t, "abort", errOf(c.AbortCanary(t.Context(), "acme", "g")), nil)
	stage(t, c, "g", "one more")
	if got := numbers(); !slices.Equal(got, []int{2, 3, 9, 16}) {
		t.Errorf("without the canary the oldest are %v", got)
	}
	if keys, err := c.Keys(t.Context(), "release.>"); err != nil || len(keys) != catalog.MaxReleases+1 {
		t.Errorf("got %d release records, %v; want %d", len(keys), err, catalog.MaxReleases+1)
	}
}

func TestReferencesAndSweep(t *testing.T) {
	clk := newClock()
	c := open(t, catalog.Config{Now: clk.Now})
	m1, m2, gone := put(t, c, "m", 1), put(t, c, "m", 2), put(t, c, "gone", 3)
	pl, err := c.PutPlugin(t.Context(), "other", catalog.PluginParams{Name: "p", Digest: digest(4), Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	g := publish(t, c, "g", "x", pinOf(m1))
	want(t, "delete", errOf(c.DeleteModel(t.Context(), "acme", "gone", "")), nil)
	refs, err := c.References(t.Context())
	wantRefs := map[blob.Digest]struct{}{m1.Digest: {}, m2.Digest: {}, pl.Digest: {}}
	if diff := cmp.Diff(wantRefs, refs); diff != "" || err != nil {
		t.Errorf("references without %s: %v (-want +got):\n%s", gone.Digest, err, diff)
	}

	want(t, "orphan", c.OrphanRelease(t.Context(), "acme", "dead", catalog.ReleaseParams{Name: "g", Document: []byte("y")}), nil)
	for _, age := range []time.Duration{0, catalog.SweepAge} {
		clk.Advance(age)
		want(t, "sweep", c.Sweep(t.Context()), nil)
		keys, err := c.Keys(t.Context(), "release.>")
		if wantKeys := 2 - int(age/catalog.SweepAge); err != nil || len(keys) != wantKeys {
			t.Errorf("after %v: got %v, %v; want %d", age, keys, err, wantKeys)
		}
		clk.Advance(1)
	}
	if got, err := c.GetGraph(t.Context(), "acme", "g", ""); err != nil || got.Digest != g.Digest {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestPinnedBy has the pins of live releases, and of no others.
func TestPinnedBy(t *testing.T) {
	c := open(t, catalog.Config{Dir: t.TempDir()})
	a, b, d := put(t, c, "a", 1), put(t, c, "b", 1), put(t, c, "d", 1)
	publish(t, c, "g", "1", pinOf(a))
	publish(t, c, "g", "2", pinOf(b))
	publish(t, c, "g", "3", pinOf(d)) // 3 is current, 2 the one before, 1 neither
	for name, want := range map[string][]catalog.Pin{"g": {pinOf(d), pinOf(b)}, "h": nil} {
		got, err := c.PinnedBy(t.Context(), "acme", name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	if got, err := c.PinnedBy(t.Context(), "other", "g"); len(got) != 0 || err != nil {
		t.Errorf("of another tenant: got %v, %v", got, err)
	}
	_, err := c.PinnedBy(t.Context(), "acme", "*")
	want(t, "a wildcard", err, tenant.ErrName)
}
