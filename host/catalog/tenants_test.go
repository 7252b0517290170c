package catalog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

func newKey(id tenant.ID) (tenant.Key, string) {
	return tenant.NewKey(tenant.KeyParams{Tenant: id, Name: "test", Role: tenant.RoleAdmin, Now: newClock().Now()})
}

func TestTenantStore(t *testing.T) {
	dir := t.TempDir()
	c := open(t, catalog.Config{Dir: dir})
	ctx := t.Context()
	_, err := c.GetTenant(ctx, "acme")
	want(t, "no tenant", err, tenant.ErrNotFound)
	acme := tenant.Tenant{ID: "acme", CreatedAt: newClock().Now()}
	for _, tn := range []tenant.Tenant{{ID: "zeta"}, acme} {
		want(t, "put", c.PutTenant(ctx, tn), nil)
	}
	want(t, "bad name", c.PutTenant(ctx, tenant.Tenant{ID: "a.b"}), tenant.ErrName)
	acme.Suspended = true
	want(t, "change", c.PutTenant(ctx, acme), nil)
	if got, err := c.GetTenant(ctx, "acme"); err != nil || cmp.Diff(acme, got) != "" {
		t.Errorf("got %+v, %v; want %+v", got, err, acme)
	}

	k1, _ := newKey("acme")
	k2, _ := newKey("zeta")
	for _, k := range []tenant.Key{k1, k2} {
		want(t, "put key", c.PutKey(ctx, k), nil)
		if got, err := c.GetKey(ctx, k.ID); err != nil || cmp.Diff(k, got) != "" {
			t.Errorf("right after: got %+v, %v; want %+v", got, err, k)
		}
	}
	want(t, "put again", c.PutKey(ctx, k1), tenant.ErrExists)
	for name, change := range map[string]func(*tenant.Key){
		"id":   func(k *tenant.Key) { k.ID = "a.b" },
		"hash": func(k *tenant.Key) { k.Hash = nil },
		"role": func(k *tenant.Key) { k.Role = "root" },
	} {
		k, _ := newKey("acme")
		change(&k)
		want(t, name, c.PutKey(ctx, k), catalog.ErrInvalid)
	}
	want(t, "another's key", c.DeleteKey(ctx, "acme", k2.ID), tenant.ErrNotFound)
	for _, id := range []string{"", "nope", "a.b", "*", ">", "A", strings.Repeat("a", 65)} {
		_, err := c.GetKey(ctx, id)
		want(t, "get "+id, err, tenant.ErrNotFound)
		want(t, "delete "+id, c.DeleteKey(ctx, "acme", id), tenant.ErrNotFound)
	}
	c.Close(ctx)

	c = open(t, catalog.Config{Dir: dir})
	ts, err := c.ListTenants(ctx)
	if diff := cmp.Diff([]tenant.Tenant{acme, {ID: "zeta"}}, ts); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	ks, err := c.ListKeys(ctx, "acme")
	if diff := cmp.Diff([]tenant.Key{k1}, ks); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	want(t, "delete", c.DeleteKey(ctx, "acme", k1.ID), nil)
	_, err = c.GetKey(ctx, k1.ID)
	want(t, "get deleted", err, tenant.ErrNotFound)
	want(t, "delete again", c.DeleteKey(ctx, "acme", k1.ID), tenant.ErrNotFound)
}

func TestCorruptKeyIsNoKey(t *testing.T) {
	dir := t.TempDir()
	c := open(t, catalog.Config{Dir: dir})
	k, plain := newKey("acme")
	want(t, "put tenant", c.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}), nil)
	want(t, "put key", c.PutKey(t.Context(), k), nil)
	want(t, "damage", c.PutRaw(t.Context(), "key."+k.ID, []byte("{}")), nil)
	c.Close(t.Context())
	c = open(t, catalog.Config{Dir: dir})
	_, err := tenant.NewAuthenticator(tenant.AuthConfig{Store: c}).Authenticate(t.Context(), "Bearer "+plain)
	want(t, "authenticate", err, catalog.ErrCorrupt)
}

// TestRevocation authenticates all the time while keys come and go: from the moment that DeleteKey returns, the key is
// refused.
func TestRevocation(t *testing.T) {
	c := open(t, catalog.Config{Relist: 5 * time.Millisecond})
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: c})
	want(t, "put tenant", c.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}), nil)
	for range 50 {
		k, plain := newKey("acme")
		want(t, "put key", c.PutKey(t.Context(), k), nil)
		for range 20 {
			_, err := a.Authenticate(t.Context(), "Bearer "+plain)
			want(t, "good key", err, nil)
		}
		want(t, "delete key", c.DeleteKey(t.Context(), "acme", k.ID), nil)
		for range 20 {
			_, err := a.Authenticate(t.Context(), "Bearer "+plain)
			want(t, "revoked key", err, tenant.ErrUnauthenticated)
		}
	}
	if !c.MirrorUsable() {
		t.Error("authentication does not answer from memory")
	}
	want(t, "suspend", c.PutTenant(t.Context(), tenant.Tenant{ID: "acme", Suspended: true}), nil)
	k, plain := newKey("acme")
	want(t, "put key", c.PutKey(t.Context(), k), nil)
	_, err := a.Authenticate(t.Context(), "Bearer "+plain)
	want(t, "suspended", err, tenant.ErrSuspended)
}

func TestBootstrapOnCatalog(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		c := open(t, catalog.Config{Dir: dir + "/catalog"})
		path, err := tenant.Bootstrap(t.Context(), c, dir)
		if err != nil || (path != "") != (i == 0) {
			t.Fatalf("start %d: got %q, %v", i, path, err)
		}
		c.Close(t.Context())
	}
}
