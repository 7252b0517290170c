package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestVersions(t *testing.T) {
	clk := newClock()
	dir := t.TempDir()
	c := open(t, catalog.Config{Dir: dir, Now: clk.Now})
	p := catalog.ModelParams{
		Name: "ppocr-det.v4", Digest: digest(1), Size: 123, Signature: json.RawMessage(`{"in":["a<b"]}`),
		Meta: map[string]string{"by": "ci"},
	}
	first, err := c.PutModel(t.Context(), "acme", p)
	if err != nil {
		t.Fatal(err)
	}
	wantFirst := catalog.Model{
		Object: catalog.Object{
			Tenant: "acme", Name: "ppocr-det.v4", Version: 1, Digest: digest(1), Size: 123, CreatedAt: clk.Now(),
			Meta: map[string]string{"by": "ci"}, Tags: []string{"latest"},
		},
		Signature: json.RawMessage(`{"in":["a<b"]}`),
	}
	if diff := cmp.Diff(wantFirst, first); diff != "" {
		t.Errorf("first version (-want +got):\n%s", diff)
	}
	p.Meta = nil
	if again, err := c.PutModel(t.Context(), "acme", p); err != nil || again.Version != 1 || again.Meta["by"] != "ci" {
		t.Errorf("the same content again: got %+v, %v", again, err)
	}
	for i, content := range []any{2, 1, 3} {
		p.Digest = digest(content)
		if m, err := c.PutModel(t.Context(), "acme", p); err != nil || m.Version != i+2 {
			t.Errorf("got %+v, %v; want version %d", m, err, i+2)
		}
	}
	for tag, number := range map[string]int{"prod": 1, "stage": 3, "old": 1} {
		want(t, "tag", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", p.Name, tag, number)), nil)
	}
	c.Close(t.Context())
	c = open(t, catalog.Config{Dir: dir, Now: clk.Now})

	for ref, number := range map[string]int{
		"": 4, "latest": 4, "@latest": 4, "1": 1, "@3": 3, "prod": 1, "@prod": 1, "@stage": 3,
		"@" + string(digest(1)): 3, string(digest(3)): 4,
	} {
		if m, err := c.GetModel(t.Context(), "acme", p.Name, ref); err != nil || m.Version != number {
			t.Errorf("%q: got %+v, %v; want version %d", ref, m, err, number)
		}
	}
	for ref, target := range map[string]error{
		"5": catalog.ErrNotFound, "@nope": catalog.ErrNotFound, string(digest(9)): catalog.ErrNotFound,
		"@": catalog.ErrInvalid, "0": catalog.ErrInvalid, "01": catalog.ErrInvalid, "1x": catalog.ErrInvalid,
		"99999999999999999999": catalog.ErrInvalid, "sha256:12": catalog.ErrInvalid, "@@1": catalog.ErrInvalid,
		"Prod": catalog.ErrInvalid, "-1": catalog.ErrInvalid, "a b": catalog.ErrInvalid,
	} {
		_, err := c.GetModel(t.Context(), "acme", p.Name, ref)
		want(t, fmt.Sprintf("%q", ref), err, target)
	}
	all, err := c.ModelVersions(t.Context(), "acme", p.Name)
	var got []string
	for _, m := range all {
		got = append(got, fmt.Sprintf("%d %s", m.Version, strings.Join(m.Tags, ",")))
	}
	if diff := cmp.Diff([]string{"4 latest", "3 stage", "2 ", "1 old,prod"}, got); diff != "" || err != nil {
		t.Errorf("versions (-want +got): %v\n%s", err, diff)
	}

	// tags move and go
	want(t, "move", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", p.Name, "prod", 4)), nil)
	if m, err := c.GetModel(t.Context(), "acme", p.Name, "prod"); err != nil || m.Version != 4 {
		t.Errorf("moved tag: got %+v, %v", m, err)
	}
	want(t, "untag", errOf(c.DeleteTag(t.Context(), catalog.KindModel, "acme", p.Name, "prod")), nil)
	want(t, "untag again", errOf(c.DeleteTag(t.Context(), catalog.KindModel, "acme", p.Name, "prod")), catalog.ErrNotFound)
	want(t, "tag nothing", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", p.Name, "prod", 9)), catalog.ErrNotFound)
	want(t, "tag zero", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", p.Name, "prod", 0)), catalog.ErrNotFound)
	want(t, "tag latest", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", p.Name, "latest", 1)), catalog.ErrInvalid)
	want(t, "tag 7", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", p.Name, "7", 1)), tenant.ErrName)
	want(t, "tag of no model", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", "nope", "prod", 1)), catalog.ErrNotFound)
	if keys, err := c.Keys(t.Context(), ">"); len(keys) != 1 || err != nil {
		t.Errorf("got keys %v, %v; want the model's only", keys, err)
	}
}

func TestDeleteVersions(t *testing.T) {
	c := open(t, catalog.Config{})
	for i := range 4 {
		put(t, c, "m", i)
	}
	want(t, "tag", errOf(c.SetTag(t.Context(), catalog.KindModel, "acme", "m", "prod", 2)), nil)
	want(t, "delete by tag", errOf(c.DeleteModel(t.Context(), "acme", "m", "@prod")), nil)
	_, err := c.GetModel(t.Context(), "acme", "m", "prod")
	want(t, "its tag", err, catalog.ErrNotFound)
	want(t, "delete the newest", errOf(c.DeleteModel(t.Context(), "acme", "m", "4")), nil)
	if m, err := c.GetModel(t.Context(), "acme", "m", ""); err != nil || m.Version != 3 {
		t.Errorf("got %+v, %v; want version 3", m, err)
	}
	if m := put(t, c, "m", 3); m.Version != 5 {
		t.Errorf("got version %d, want 5: a number is not used twice", m.Version)
	}
	want(t, "delete all", errOf(c.DeleteModel(t.Context(), "acme", "m", "")), nil)
	for _, ref := range []string{"", "1", "latest"} {
		_, err := c.GetModel(t.Context(), "acme", "m", ref)
		want(t, "get deleted", err, catalog.ErrNotFound)
		want(t, "delete deleted", errOf(c.DeleteModel(t.Context(), "acme", "m", ref)), catalog.ErrNotFound)
	}
	_, err = c.ModelVersions(t.Context(), "acme", "m")
	want(t, "versions of deleted", err, catalog.ErrNotFound)
	if ms, _, err := c.ListModels(t.Context(), "acme", catalog.Page{}); len(ms) != 0 || err != nil {
		t.Errorf("got %v, %v; want none", ms, err)
	}
	if m := put(t, c, "m", 9); m.Version != 6 {
		t.Errorf("got version %d, want 6", m.Version)
	}
}

func TestPutRefuses(t *testing.T) {
	c := open(t, catalog.Config{})
	good := catalog.ModelParams{Name: "m", Digest: digest(1), Size: 1}
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint(i)] = ""
	}
	for name, tc := range map[string]struct {
		tenant tenant.ID
		change func(*catalog.ModelParams)
		want   error
	}{
		"no tenant":      {"", func(*catalog.ModelParams) {}, tenant.ErrName},
		"bad tenant":     {"a.b", func(*catalog.ModelParams) {}, tenant.ErrName},
		"wildcard":       {"*", func(*catalog.ModelParams) {}, tenant.ErrName},
		"no name":        {"acme", func(p *catalog.ModelParams) { p.Name = "" }, tenant.ErrName},
		"bad name":       {"acme", func(p *catalog.ModelParams) { p.Name = "a.>" }, tenant.ErrName},
		"digest":         {"acme", func(p *catalog.ModelParams) { p.Digest = "md5:1" }, catalog.ErrInvalid},
		"size":           {"acme", func(p *catalog.ModelParams) { p.Size = 0 }, catalog.ErrInvalid},
		"signature":      {"acme", func(p *catalog.ModelParams) { p.Signature = []byte("{") }, catalog.ErrInvalid},
		"many labels":    {"acme", func(p *catalog.ModelParams) { p.Meta = many }, catalog.ErrLimit},
		"long labels":    {"acme", func(p *catalog.ModelParams) { p.Meta = map[string]string{"a": strings.Repeat("x", 17<<10)} }, catalog.ErrLimit},
		"huge signature": {"acme", func(p *catalog.ModelParams) { p.Signature = []byte(`"` + strings.Repeat("x", 5<<20) + `"`) }, catalog.ErrLimit},
	} {
		p := good
		tc.change(&p)
		_, err := c.PutModel(t.Context(), tc.tenant, p)
		want(t, name, err, tc.want)
	}
	if keys, err := c.Keys(t.Context(), ">"); len(keys) != 0 || err != nil {
		t.Errorf("got keys %v, %v; want none", keys, err)
	}
}

func TestVersionLimit(t *testing.T) {
	c := open(t, catalog.Config{})
	want(t, "fill", c.FillVersions(t.Context(), "acme", "m", catalog.MaxVersions-1), nil)
	put(t, c, "m", "last")
	_, err := c.PutModel(t.Context(), "acme", catalog.ModelParams{Name: "m", Digest: digest("more"), Size: 1})
	want(t, "one more", err, catalog.ErrLimit)
	want(t, "delete one", errOf(c.DeleteModel(t.Context(), "acme", "m", "1")), nil)
	put(t, c, "m", "more")
}

func TestListPages(t *testing.T) {
	c := open(t, catalog.Config{})
	names := []string{"B", "a", "a-b", "a.b", "a_b", "aa", "b", "c", "d", "e"}
	for _, n := range []int{3, 7, 1, 0, 9, 4, 2, 8, 6, 5} {
		put(t, c, names[n], n)
	}
	put(t, c, "gone", 1)
	want(t, "delete", errOf(c.DeleteModel(t.Context(), "acme", "gone", "")), nil)
	if _, err := c.PutModel(t.Context(), "acme2", catalog.ModelParams{Name: "other", Digest: digest(1), Size: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutPlugin(t.Context(), "acme", catalog.PluginParams{Name: "plug", Digest: digest(1), Size: 1}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 3, 9, 10, 11, 5000} {
		var got []string
		token, pages := "", 0
		for {
			ms, more, err := c.ListModels(t.Context(), "acme", catalog.Page{Size: size, Token: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range ms {
				got = append(got, m.Name)
			}
			pages++
			if token = more; more == "" {
				break
			}
			if len(ms) != size {
				t.Errorf("size %d: a page of %d with more to come", size, len(ms))
			}
		}
		if diff := cmp.Diff(names, got); diff != "" {
			t.Errorf("size %d (-want +got):\n%s", size, diff)
		}
		if wantPages := (10 + size - 1) / max(size, 1); size > 0 && pages != wantPages {
			t.Errorf("size %d: %d pages, want %d", size, pages, wantPages)
		}
	}
	// With Only, a page has and its token names what is in it, as if there were nothing else.
	only := func(name string) bool { return name == "a" || name == "b" || name == "e" }
	one, more, err := c.ListModels(t.Context(), "acme", catalog.Page{Size: 1, Only: only})
	if err != nil || len(one) != 1 || one[0].Name != "a" || more == "" {
		t.Errorf("the first page of some: got %v, %q, %v", one, more, err)
	}
	two, more, err := c.ListModels(t.Context(), "acme", catalog.Page{Size: 2, Token: more, Only: only})
	if err != nil || len(two) != 2 || two[0].Name != "b" || two[1].Name != "e" || more != "" {
		t.Errorf("the last page of some: got %v, %q, %v", two, more, err)
	}
	for name, p := range map[string]catalog.Page{
		"size": {Size: -1}, "token": {Token: "!"}, "token of no name": {Token: "Li4v"},
	} {
		_, _, err := c.ListModels(t.Context(), "acme", p)
		want(t, name, err, catalog.ErrInvalid)
	}
	_, _, err = c.ListModels(t.Context(), "*", catalog.Page{})
	want(t, "tenant", err, tenant.ErrName)
}

// TestPlugins goes once through what plugins share with models.
func TestPlugins(t *testing.T) {
	c := open(t, catalog.Config{})
	p := catalog.PluginParams{Name: "ocr", Digest: digest(1), Size: 5, Description: json.RawMessage(`{"functions":[]}`)}
	first, err := c.PutPlugin(t.Context(), "acme", p)
	if err != nil || first.Version != 1 || string(first.Description) != `{"functions":[]}` {
		t.Fatalf("got %+v, %v", first, err)
	}
	p.Digest = digest(2)
	if _, err := c.PutPlugin(t.Context(), "acme", p); err != nil {
		t.Fatal(err)
	}
	want(t, "tag", errOf(c.SetTag(t.Context(), catalog.KindPlugin, "acme", "ocr", "prod", 1)), nil)
	if got, err := c.GetPlugin(t.Context(), "acme", "ocr", "@prod"); err != nil || got.Version != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if vs, err := c.PluginVersions(t.Context(), "acme", "ocr"); err != nil || len(vs) != 2 {
		t.Errorf("got %+v, %v", vs, err)
	}
	if ps, _, err := c.ListPlugins(t.Context(), "acme", catalog.Page{}); err != nil || len(ps) != 1 || ps[0].Version != 2 {
		t.Errorf("got %+v, %v", ps, err)
	}
	_, err = c.GetModel(t.Context(), "acme", "ocr", "")
	want(t, "a model of that name", err, catalog.ErrNotFound)
	pin := catalog.Pin{Kind: catalog.KindPlugin, Name: "ocr", Version: 2, Digest: digest(2)}
	publish(t, c, "g", "doc", pin)
	var inUse *catalog.InUseError
	if err := errOf(c.DeletePlugin(t.Context(), "acme", "ocr", "")); !errors.As(err, &inUse) || inUse.Kind != catalog.KindPlugin {
		t.Errorf("got %v, want in use", err)
	}
	want(t, "delete another version", errOf(c.DeletePlugin(t.Context(), "acme", "ocr", "1")), nil)
	want(t, "untag", errOf(c.DeleteTag(t.Context(), catalog.KindPlugin, "acme", "ocr", "prod")), catalog.ErrNotFound)
}

// A tenant that is made anew under the name of one that was deleted is no different from another.
func TestTenantMadeAnew(t *testing.T) {
	c := open(t, catalog.Config{})
	at := time.Now().UTC().Truncate(time.Second)
	for i := range 2 {
		want(t, "create", c.CreateTenant(t.Context(), tenant.Tenant{ID: "anew"}), nil)
		if used, err := c.LastUse(t.Context(), "anew"); err != nil || len(used) != 0 {
			t.Errorf("tenant %d begins with %v, %v", i, used, err)
		}
		for range 2 {
			want(t, "note the use of a key", c.NoteUse(t.Context(), "anew", map[string]time.Time{"key": at}), nil)
		}
		if used, err := c.LastUse(t.Context(), "anew"); err != nil || !used["key"].Equal(at) {
			t.Errorf("tenant %d: got %v, %v", i, used, err)
		}
		want(t, "delete", c.DeleteTenant(t.Context(), "anew"), nil)
	}
}

func TestTenantsAreApart(t *testing.T) {
	c := open(t, catalog.Config{})
	m := put(t, c, "m", 1)
	publish(t, c, "g", "doc", pinOf(m))
	ctx := t.Context()
	other := tenant.ID("acme-2")
	_, e1 := c.GetModel(ctx, other, "m", "")
	_, e2 := c.GetModel(ctx, other, "m", string(m.Digest))
	_, e3 := c.ModelVersions(ctx, other, "m")
	_, e4 := c.GetGraph(ctx, other, "g", "")
	_, e5 := c.DescribeGraph(ctx, other, "g")
	_, e6 := c.PublishGraph(ctx, other, catalog.ReleaseParams{Name: "h", Document: []byte("x"), Pins: []catalog.Pin{pinOf(m)}})
	_, e7 := c.ActivateGraph(ctx, other, "g", 1)
	for i, err := range []error{
		e1, e2, e3, e4, e5, e6, e7, errOf(c.SetTag(ctx, catalog.KindModel, other, "m", "x", 1)), errOf(c.DeleteModel(ctx, other, "m", "")),
		errOf(c.DeleteGraph(ctx, other, "g", "")),
	} {
		want(t, fmt.Sprint(i), err, catalog.ErrNotFound)
	}
	ms, _, e8 := c.ListModels(ctx, other, catalog.Page{})
	gs, _, e9 := c.ListGraphs(ctx, other, catalog.Page{})
	if len(ms) != 0 || len(gs) != 0 || e8 != nil || e9 != nil {
		t.Errorf("got %v, %v, %v, %v", ms, gs, e8, e9)
	}
	// both have a model of that name, each its own
	om, err := c.PutModel(ctx, other, catalog.ModelParams{Name: "m", Digest: digest(2), Size: 1})
	if err != nil || om.Version != 1 {
		t.Fatalf("got %+v, %v", om, err)
	}
	want(t, "delete one's own", errOf(c.DeleteModel(ctx, other, "m", "")), nil)
	if got, err := c.GetModel(ctx, "acme", "m", ""); err != nil || got.Digest != m.Digest {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestPutHammer has many writers of one model: every version number is given once.
func TestPutHammer(t *testing.T) {
	c := open(t, catalog.Config{})
	const writers, each = 8, 12
	seen := make([][]int, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				m, err := c.PutModel(t.Context(), "acme", catalog.ModelParams{Name: "m", Digest: digest([2]int{w, i}), Size: 1})
				if err != nil {
					t.Error(err)
					return
				}
				seen[w] = append(seen[w], m.Version)
			}
		})
	}
	wg.Wait()
	given := map[int]bool{}
	for _, vs := range seen {
		for _, v := range vs {
			if given[v] {
				t.Errorf("version %d was given twice", v)
			}
			given[v] = true
		}
	}
	all, err := c.ModelVersions(t.Context(), "acme", "m")
	if err != nil || len(all) != writers*each || all[0].Version != writers*each {
		t.Fatalf("got %d versions, %v; want %d", len(all), err, writers*each)
	}
}
