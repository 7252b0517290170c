package tenant_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/tenant"
)

func readAdminKey(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, tenant.AdminKeyFile)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != 0o600 {
		t.Fatalf("mode %v, want 0600", st.Mode())
	}
	plain, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(plain), "\n")
}

func TestBootstrap(t *testing.T) {
	dir, store := t.TempDir(), newMemStore()
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
	path, err := tenant.Bootstrap(t.Context(), store, dir)
	if err != nil || path != filepath.Join(dir, "admin.key") {
		t.Fatalf("got %q, %v", path, err)
	}
	plain := readAdminKey(t, dir)
	p, err := a.Authenticate(t.Context(), "Bearer "+plain)
	if err != nil || p.Tenant != "default" || p.Role != tenant.RoleAdmin || !p.Can(tenant.ActionOperate) {
		t.Fatalf("got %+v, %v", p, err)
	}
	if path, err := tenant.Bootstrap(t.Context(), store, dir); path != "" || err != nil {
		t.Fatalf("second start: got %q, %v", path, err)
	}
	if got := readAdminKey(t, dir); got != plain {
		t.Error("the second start wrote another key")
	}
	// a revoked key stays revoked, and a removed file is not written again
	if err := store.DeleteKey(t.Context(), "default", p.KeyID); err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.Bootstrap(t.Context(), store, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), "Bearer "+plain); !errors.Is(err, tenant.ErrUnauthenticated) {
		t.Errorf("the revoked key is back: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "admin.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.Bootstrap(t.Context(), store, dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if len(entries) != 0 || err != nil {
		t.Errorf("got %v, %v; want an empty folder", entries, err)
	}
}

// TestBootstrapInterrupted stops the first start at each of its calls: the next start finishes it with the same key.
func TestBootstrapInterrupted(t *testing.T) {
	killed := errors.New("killed")
	for _, op := range []string{"GetTenant", "PutKey", "PutTenant"} {
		dir, store := t.TempDir(), newMemStore()
		store.fail = func(got string) error {
			if got == op {
				return killed
			}
			return nil
		}
		if path, err := tenant.Bootstrap(t.Context(), store, dir); path != "" || !errors.Is(err, killed) {
			t.Fatalf("%s: got %q, %v", op, path, err)
		}
		var before string
		if op != "GetTenant" {
			before = readAdminKey(t, dir)
		}
		store.fail = nil
		if path, err := tenant.Bootstrap(t.Context(), store, dir); path == "" || err != nil {
			t.Fatalf("%s: got %q, %v", op, path, err)
		}
		plain := readAdminKey(t, dir)
		if before != "" && before != plain {
			t.Errorf("%s: the key changed", op)
		}
		if _, err := tenant.NewAuthenticator(tenant.AuthConfig{Store: store}).Authenticate(t.Context(), "Bearer "+plain); err != nil {
			t.Errorf("%s: %v", op, err)
		}
		if len(store.keys) != 1 {
			t.Errorf("%s: %d keys, want 1", op, len(store.keys))
		}
	}
}

func TestBootstrapFaults(t *testing.T) {
	dir, store := t.TempDir(), newMemStore()
	if err := os.WriteFile(filepath.Join(dir, "admin.key"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.Bootstrap(t.Context(), store, dir); err == nil || !strings.Contains(err.Error(), "holds no key") {
		t.Errorf("got %v", err)
	}
	if _, err := tenant.Bootstrap(t.Context(), store, filepath.Join(dir, "missing")); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	if len(store.keys) != 0 || len(store.tenants) != 0 {
		t.Error("a failed start stored something")
	}
}
