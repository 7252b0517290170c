package system_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/system"
)

func TestAs(t *testing.T) {
	ctx := system.As(system.As(t.Context(), "one", tenant.RoleAdmin), "two", tenant.RoleViewer)
	want := tenant.Principal{Tenant: "two", Role: tenant.RoleViewer}
	if got, err := tenant.PrincipalFrom(ctx); cmp.Diff(want, got) != "" || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
