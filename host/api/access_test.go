package api

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// TestRevocationNeedsNoAuditLog ends the calls of a key although the audit log takes nothing.
func TestRevocationNeedsNoAuditLog(t *testing.T) {
	h := newHouse(t)
	id, plain := h.admin(t, "acme")
	ctx, leave, err := h.cfg.Auth.Enter(t.Context(), "Bearer "+plain)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	elsewhere, err := catalog.Open(t.Context(), catalog.Config{Dir: filepath.Join(t.TempDir(), "catalog"), Logger: h.cfg.Logger})
	if err != nil {
		t.Fatal(err)
	}
	if h.cfg.Audit, err = audit.Open(t.Context(), elsewhere.Conn(), audit.Config{}); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := (tenants{h}).RevokeKey(operator(t), &tandemv1.RevokeKeyRequest{Tenant: "acme", Id: id}); !errors.Is(err, errNotAudited) {
		t.Errorf("got %v, want %v", err, errNotAudited)
	}
	if !errors.Is(context.Cause(ctx), tenant.ErrUnauthenticated) {
		t.Errorf("a call under the key goes on: %v", context.Cause(ctx))
	}
}

// TestDeletionWaitsForWhoIsAtTheDoor deletes a tenant while a call of it has been let in but not been counted yet.
func TestDeletionWaitsForWhoIsAtTheDoor(t *testing.T) {
	h := newHouse(t)
	_, plain := h.admin(t, "acme")
	ctx, leave, err := h.cfg.Auth.Enter(t.Context(), "Bearer "+plain)
	if err != nil {
		t.Fatal(err)
	}
	deleted := make(chan error, 1)
	go func() {
		_, err := (tenants{h}).DeleteTenant(operator(t), &tandemv1.DeleteTenantRequest{Name: "acme"})
		deleted <- err
	}()
	<-ctx.Done()
	select {
	case err := <-deleted:
		t.Fatalf("it did not wait for the call to leave: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	// The call does not look whether it has been ended, and writes.
	_, err = h.cfg.Catalog.PutModel(t.Context(), "acme", catalog.ModelParams{Name: "late", Digest: blob.Digest("sha256:" + strings.Repeat("ab", 32)), Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	if held, err := h.cfg.Catalog.Holdings(t.Context(), "acme"); err != nil || len(held.Objects) != 0 {
		t.Errorf("what was written during the deletion is left: %+v, %v", held, err)
	}
}

// TestDeletionEndsShadows deletes a tenant while a shadow of its spins, which would record something at its end.
func TestDeletionEndsShadows(t *testing.T) {
	h := newHouse(t)
	_, plain := h.admin(t, "acme")
	ctx, leave, err := h.cfg.Auth.Enter(t.Context(), "Bearer "+plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&changer{handler: h}).pushPlugin(ctx, "hostile"); err != nil {
		t.Fatal(err)
	}
	if _, err := (graphs{h}).PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: `
graph: g
inputs: {mode: {type: tensor, dtype: INT32, shape: []}}
outputs: {mode: mode}
nodes:
  it: {plugin: hostile, call: spin, in: {mode: mode}, shadow: true, keep: true}
`}); err != nil {
		t.Fatal(err)
	}
	lease, err := h.cfg.Control.Acquire(ctx, "acme", "g", control.Call{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.cfg.Engine.Run(ctx, lease.Release, engine.Request{
		Inputs: map[string]value.Value{"mode": value.Tensor(abi.INT32, nil, make([]byte, 4))}, Retain: lease.Retain,
	})
	if err != nil {
		t.Fatal(err)
	}
	res.Release()
	lease.Done()
	leave()
	if n := h.cfg.Engine.Stats().Shadows; n != 1 {
		t.Fatalf("%d shadows run, want 1", n)
	}
	if _, err := (tenants{h}).DeleteTenant(operator(t), &tandemv1.DeleteTenantRequest{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	if n := h.cfg.Engine.Stats().Shadows; n != 0 {
		t.Errorf("%d shadows run on", n)
	}
}
