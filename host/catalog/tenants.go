package catalog

import (
	"context"
	"errors"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PutTenant implements tenant.Store.
func (c *Catalog) PutTenant(ctx context.Context, t tenant.Tenant) error { return errors.ErrUnsupported }

// GetTenant implements tenant.Store.
func (c *Catalog) GetTenant(ctx context.Context, id tenant.ID) (tenant.Tenant, error) {
	return tenant.Tenant{}, errors.ErrUnsupported
}

// ListTenants implements tenant.Store.
func (c *Catalog) ListTenants(ctx context.Context) ([]tenant.Tenant, error) {
	return nil, errors.ErrUnsupported
}

// PutKey implements tenant.Store.
func (c *Catalog) PutKey(ctx context.Context, k tenant.Key) error { return errors.ErrUnsupported }

// GetKey implements tenant.Store.
func (c *Catalog) GetKey(ctx context.Context, keyID string) (tenant.Key, error) {
	return tenant.Key{}, errors.ErrUnsupported
}

// ListKeys implements tenant.Store.
func (c *Catalog) ListKeys(ctx context.Context, id tenant.ID) ([]tenant.Key, error) {
	return nil, errors.ErrUnsupported
}

// DeleteKey implements tenant.Store.
func (c *Catalog) DeleteKey(ctx context.Context, id tenant.ID, keyID string) error {
	return errors.ErrUnsupported
}
