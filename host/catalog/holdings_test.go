package catalog_test

import (
	"testing"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestHoldingsAndPurge(t *testing.T) {
	c := open(t, catalog.Config{Dir: t.TempDir()})
	ctx := t.Context()
	for _, id := range []tenant.ID{"acme", "other"} {
		want(t, "put tenant", c.PutTenant(ctx, tenant.Tenant{ID: id}), nil)
		k, _ := newKey(id)
		want(t, "put key", c.PutKey(ctx, k), nil)
		for _, m := range []struct{ name, content string }{{"m", "1"}, {"m", "2"}, {"n", "2"}} {
			_, err := c.PutModel(ctx, id, catalog.ModelParams{Name: m.name, Digest: digest(m.content), Size: 10, Signature: []byte("{}")})
			want(t, "put model", err, nil)
		}
		_, err := c.PublishGraph(ctx, id, catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: []catalog.Pin{
			{Kind: catalog.KindModel, Name: "m", Version: 1, Digest: digest("1")},
		}})
		want(t, "publish", err, nil)
	}
	if h, err := c.Holdings(ctx, "acme"); err != nil || h != (catalog.Holdings{Objects: 3, BlobBytes: 20}) {
		t.Errorf("got %+v, %v", h, err)
	}
	for range 2 { // the second time there is nothing, as after a crash half-way
		want(t, "purge", c.PurgeTenant(ctx, "acme"), nil)
	}
	want(t, "delete", c.DeleteTenant(ctx, "acme"), nil)
	if h, err := c.Holdings(ctx, "acme"); err != nil || h != (catalog.Holdings{}) {
		t.Errorf("after the purge: got %+v, %v", h, err)
	}
	if ks, err := c.ListKeys(ctx, "acme"); err != nil || len(ks) != 0 {
		t.Errorf("after the purge: keys %+v, %v", ks, err)
	}
	_, err := c.GetTenant(ctx, "acme")
	want(t, "get", err, tenant.ErrNotFound)
	if h, err := c.Holdings(ctx, "other"); err != nil || h != (catalog.Holdings{Objects: 3, BlobBytes: 20}) {
		t.Errorf("another tenant: got %+v, %v", h, err)
	}
	// A tenant of the same name begins with nothing, not even with version numbers.
	want(t, "create again", c.CreateTenant(ctx, tenant.Tenant{ID: "acme"}), nil)
	want(t, "create twice", c.CreateTenant(ctx, tenant.Tenant{ID: "acme"}), tenant.ErrExists)
	m, err := c.PutModel(ctx, "acme", catalog.ModelParams{Name: "m", Digest: digest("1"), Size: 10, Signature: []byte("{}")})
	if err != nil || m.Version != 1 {
		t.Errorf("got version %d, %v", m.Version, err)
	}
}
