package server_test

import (
	"slices"
	"testing"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestTenantsBeginWithNothing deletes a tenant and makes one of the same name, which must not read what was changed before; the
// operator still reads who deleted it.
func TestTenantsBeginWithNothing(t *testing.T) {
	r := run(t, config(t))
	if own := actions(t, r.begin(t, "acme")); !slices.Equal(own, []string{"CreateKey"}) {
		t.Errorf("a new tenant reads %v", own)
	}
	if _, err := r.Tenants.SetTenantLimits(t.Context(), &tandemv1.SetTenantLimitsRequest{Name: "acme", Limits: &tandemv1.TenantLimits{Objects: 5}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Tenants.DeleteTenant(t.Context(), &tandemv1.DeleteTenantRequest{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	if own := actions(t, r.begin(t, "acme")); !slices.Equal(own, []string{"CreateKey"}) {
		t.Errorf("the next tenant of the name reads %v", own)
	}
	if own := actions(t, r.Client); !slices.Equal(own, []string{"CreateTenant", "DeleteTenant", "CreateTenant"}) {
		t.Errorf("the operator reads %v", own)
	}
}

// begin makes a tenant and returns a client of its admin.
func (r *running) begin(t *testing.T, name string) *client.Client {
	t.Helper()
	if _, err := r.Tenants.CreateTenant(t.Context(), &tandemv1.CreateTenantRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	key, err := r.Tenants.CreateKey(t.Context(), &tandemv1.CreateKeyRequest{Tenant: name, Role: tandemv1.Role_ROLE_ADMIN})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(r.url, client.WithKey(key.GetPlain()), client.WithHTTPClient(r.http))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// actions returns what a client reads of the changes of its own tenant.
func actions(t *testing.T, c *client.Client) []string {
	t.Helper()
	res, err := c.Tenants.ListChanges(t.Context(), &tandemv1.ListChangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, ch := range res.GetChanges() {
		out = append(out, ch.GetAction())
	}
	return out
}
