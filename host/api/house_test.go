package api

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/system"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
)

// models loads a scripted model that adds and subtracts for every file.
type fakeModels struct{}

func (fakeModels) Check([]byte) error { return nil }

func (fakeModels) Load(context.Context, control.LoadParams) (runners.Runner, control.ModelInfo, error) {
	return fake.New(fake.AddSub()), control.ModelInfo{}, nil
}

// newHouse returns the handlers over real stores in a temporary folder, with the tenant default.
func newHouse(t *testing.T) *handler {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	blobs, err := blob.OpenDir(t.Context(), blob.Config{Dir: filepath.Join(dir, "blobs")})
	if err != nil {
		t.Fatal(err)
	}
	cat := openCatalog(t, filepath.Join(dir, "catalog"))
	if err := cat.PutTenant(t.Context(), tenant.Tenant{ID: tenant.Default}); err != nil {
		t.Fatal(err)
	}
	changes, err := audit.Open(t.Context(), cat.Conn(), audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	manager := control.New(control.Config{Catalog: cat, Blobs: blobs, Sandbox: box, Models: fakeModels{}, Logger: log})
	t.Cleanup(func() {
		manager.Close()
		if err := errors.Join(box.Close(context.WithoutCancel(t.Context())), blobs.Close()); err != nil {
			t.Error(err)
		}
	})
	return &handler{Config{
		Auth: tenant.NewAuthenticator(tenant.AuthConfig{Store: cat}), Catalog: cat, Control: manager, Uploads: blobs, Audit: changes,
		Engine: engine.New(engine.Config{}),
		Door:   quota.New(quota.Config{Limits: func(tenant.ID) tenant.Limits { return tenant.Unlimited() }}), Logger: log,
	}}
}

func openCatalog(t *testing.T, dir string) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Open(t.Context(), catalog.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cat.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return cat
}

// operator returns a context of an admin of the tenant default.
func operator(t *testing.T) context.Context {
	t.Helper()
	return system.As(t.Context(), tenant.Default, tenant.RoleAdmin)
}

// admin makes a tenant and returns the id and the plain text of an admin's key.
func (h *handler) admin(t *testing.T, name string) (id, plain string) {
	t.Helper()
	if _, err := (tenants{h}).CreateTenant(operator(t), &tandemv1.CreateTenantRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	res, err := (tenants{h}).CreateKey(operator(t), &tandemv1.CreateKeyRequest{Tenant: name, Role: tandemv1.Role_ROLE_ADMIN})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetKey().GetId(), res.GetPlain()
}
