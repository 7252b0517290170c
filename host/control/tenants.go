package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Owned is something outside of the manager that keeps things of tenants and forgets them when a tenant is deleted.
type Owned interface {
	// Forget removes all that is a tenant's, for good. It may be called again after it failed half-way.
	Forget(ctx context.Context, t tenant.ID) error
}

// ErrDefaultTenant: the tenant that administers the server cannot be deleted or suspended.
var ErrDefaultTenant = errors.New("the tenant \"default\" administers the server and cannot be suspended or deleted")

// CreateTenant makes a tenant without keys. Errors: tenant.ErrName, tenant.ErrExists, and the catalog's.
func (m *Manager) CreateTenant(ctx context.Context, id tenant.ID, limits tenant.Limits) (tenant.Tenant, error) {
	t := tenant.Tenant{ID: id, CreatedAt: time.Now().UTC(), Limits: limits}
	return t, m.cfg.Catalog.CreateTenant(ctx, t)
}

// SetLimits replaces a tenant's limits, and returns the tenant as it was and as it is.
func (m *Manager) SetLimits(ctx context.Context, id tenant.ID, limits tenant.Limits) (was, now tenant.Tenant, err error) {
	return m.updateTenant(ctx, id, func(t *tenant.Tenant) { t.Limits = limits })
}

// Suspend refuses a tenant's credentials, or takes that back, and returns the tenant as it was and as it is.
func (m *Manager) Suspend(ctx context.Context, id tenant.ID, suspended bool) (was, now tenant.Tenant, err error) {
	if id == tenant.Default {
		return was, now, ErrDefaultTenant
	}
	return m.updateTenant(ctx, id, func(t *tenant.Tenant) { t.Suspended = suspended })
}

// MarkDeleted refuses a tenant's credentials for good, and returns the tenant as it was. The rest is RemoveTenant's, now or after a
// restart.
func (m *Manager) MarkDeleted(ctx context.Context, id tenant.ID) (tenant.Tenant, error) {
	if id == tenant.Default {
		return tenant.Tenant{}, ErrDefaultTenant
	}
	was, _, err := m.updateTenant(ctx, id, func(t *tenant.Tenant) { t.Deleting = true })
	return was, err
}

func (m *Manager) updateTenant(ctx context.Context, id tenant.ID, change func(*tenant.Tenant)) (was, now tenant.Tenant, err error) {
	now, err = m.cfg.Catalog.UpdateTenant(ctx, id, func(t *tenant.Tenant) error {
		was = *t
		change(t)
		return nil
	})
	return was, now, err
}

// RemoveTenant removes a tenant that was marked, with everything that it owns. No call of it may be running. It may be
// called again after it failed half-way.
func (m *Manager) RemoveTenant(ctx context.Context, id tenant.ID) error {
	t, err := m.cfg.Catalog.GetTenant(ctx, id)
	if err != nil {
		return err
	}
	if !t.Deleting {
		return fmt.Errorf("tenant %s is not marked as deleted", id)
	}
	m.dropTenant(id)
	errs := []error{m.cfg.Blobs.AbortAll(ctx, id), m.cfg.Catalog.PurgeTenant(ctx, id), m.life.memory.forget(id)}
	for _, o := range m.cfg.Owned {
		errs = append(errs, o.Forget(ctx, id))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove tenant %s: %w", id, err)
	}
	return m.cfg.Catalog.DeleteTenant(ctx, id)
}

// dropTenant closes the releases of a tenant.
func (m *Manager) dropTenant(id tenant.ID) {
	m.mu.Lock()
	graphs := make(map[graphKey]struct{})
	for k := range m.loaded {
		if k.tenant == id {
			graphs[k.graphKey] = struct{}{}
		}
	}
	m.mu.Unlock()
	for g := range graphs {
		m.drop(g, nil)
	}
}

// finishDeletions removes tenants whose deletion was cut short.
func (m *Manager) finishDeletions(ctx context.Context) {
	ts, err := m.cfg.Catalog.ListTenants(ctx)
	if err != nil {
		m.cfg.Logger.ErrorContext(ctx, "look for tenants that are half deleted", slog.Any("error", err))
		return
	}
	for _, t := range ts {
		if !t.Deleting {
			continue
		}
		if err := m.RemoveTenant(ctx, t.ID); err != nil {
			m.cfg.Logger.ErrorContext(ctx, "finish the deletion of a tenant", slog.String("tenant", string(t.ID)), slog.Any("error", err))
		}
	}
}

// ModelUse returns what the loaded models of a tenant take.
func (m *Manager) ModelUse(id tenant.ID) ModelUse { return m.life.shelf.own(id) }

// PluginMemory returns what the plugins of a tenant have in memory, in bytes.
func (m *Manager) PluginMemory(id tenant.ID) int64 { return m.cfg.Sandbox.TenantMemory(string(id)) }
