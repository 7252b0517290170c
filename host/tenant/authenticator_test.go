package tenant_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/tenant"
)

func TestAuthenticate(t *testing.T) {
	store := newMemStore()
	now := testTime
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store, Now: func() time.Time { return now }})
	add := func(id tenant.ID, role tenant.Role, expires time.Time) (tenant.Key, string) {
		k, plain := tenant.NewKey(tenant.KeyParams{Tenant: id, Role: role, Now: now, ExpiresAt: expires})
		if err := store.PutKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		return k, plain
	}
	for _, tn := range []tenant.Tenant{{ID: "acme"}, {ID: "late", Suspended: true}} {
		if err := store.PutTenant(t.Context(), tn); err != nil {
			t.Fatal(err)
		}
	}
	good, goodPlain := add("acme", tenant.RolePublisher, time.Time{})
	_, other := add("acme", tenant.RoleCaller, time.Time{})
	_, limited := add("acme", tenant.RoleCaller, now.Add(time.Hour))
	_, suspended := add("late", tenant.RoleAdmin, time.Time{})
	_, homeless := add("gone", tenant.RoleAdmin, time.Time{})
	_, roleless := add("acme", "root", time.Time{})
	_, unknown := tenant.NewKey(tenant.KeyParams{Tenant: "acme", Role: tenant.RoleAdmin, Now: now})

	for name, c := range map[string]struct {
		header string
		want   error
	}{
		"good":                 {"Bearer " + goodPlain, nil},
		"lower-case scheme":    {"bearer " + goodPlain, nil},
		"spaces":               {"Bearer   " + goodPlain + " ", nil},
		"before expiry":        {"Bearer " + limited, nil},
		"empty":                {"", tenant.ErrUnauthenticated},
		"no scheme":            {goodPlain, tenant.ErrUnauthenticated},
		"other scheme":         {"Basic " + goodPlain, tenant.ErrUnauthenticated},
		"scheme only":          {"Bearer ", tenant.ErrUnauthenticated},
		"garbage":              {"Bearer x", tenant.ErrUnauthenticated},
		"unknown":              {"Bearer " + unknown, tenant.ErrUnauthenticated},
		"another key's secret": {"Bearer " + goodPlain[:21] + other[21:], tenant.ErrUnauthenticated},
		"tenant gone":          {"Bearer " + homeless, tenant.ErrUnauthenticated},
		"unknown role":         {"Bearer " + roleless, tenant.ErrUnauthenticated},
		"suspended":            {"Bearer " + suspended, tenant.ErrSuspended},
		"suspended, guessed":   {"Bearer " + suspended[:21] + other[21:], tenant.ErrUnauthenticated},
	} {
		p, err := a.Authenticate(t.Context(), c.header)
		if !errors.Is(err, c.want) || (err == nil) != (p.Tenant == "acme") {
			t.Errorf("%s: got %+v, %v; want %v", name, p, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "tdm_") {
			t.Errorf("%s: the error has the key: %v", name, err)
		}
	}

	ctx, leave, err := a.Enter(t.Context(), "Bearer "+goodPlain)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	want := tenant.Principal{Tenant: "acme", KeyID: good.ID, Role: tenant.RolePublisher}
	if p, err := tenant.PrincipalFrom(ctx); cmp.Diff(want, p) != "" || err != nil {
		t.Errorf("got %+v, %v; want %+v", p, err, want)
	}

	now = now.Add(time.Hour)
	if _, err := a.Authenticate(t.Context(), "Bearer "+limited); !errors.Is(err, tenant.ErrUnauthenticated) {
		t.Errorf("expired: got %v", err)
	}
	if err := store.DeleteKey(t.Context(), "acme", good.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Enter(t.Context(), "Bearer "+goodPlain); !errors.Is(err, tenant.ErrUnauthenticated) {
		t.Errorf("revoked: got %v", err)
	}
}

func TestAuthenticateReportsTheStore(t *testing.T) {
	store := newMemStore()
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
	k, plain := tenant.NewKey(tenant.KeyParams{Tenant: "acme", Role: tenant.RoleAdmin, Now: testTime})
	if err := store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for _, op := range []string{"GetKey", "GetTenant"} {
		store.fail = func(got string) error {
			if got == op {
				return fmt.Errorf("%s: %w", op, broken)
			}
			return nil
		}
		_, err := a.Authenticate(t.Context(), "Bearer "+plain)
		if !errors.Is(err, broken) || errors.Is(err, tenant.ErrUnauthenticated) {
			t.Errorf("%s: got %v, want %v", op, err, broken)
		}
	}
}
