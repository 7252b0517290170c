package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PutTenant implements tenant.Store.
func (c *Catalog) PutTenant(ctx context.Context, t tenant.Tenant) error {
	if err := tenant.CheckID(t.ID); err != nil {
		return err
	}
	key := prefixTenant + "." + string(t.ID)
	_, rev, err := update(ctx, c.bucket, key, func(cur *tenant.Tenant) error {
		*cur = t
		return nil
	})
	if err != nil {
		return fmt.Errorf("put tenant %s: %w", t.ID, err)
	}
	c.mirror.wrote(key, mirrored{value: t, rev: rev})
	return nil
}

// UpdateTenant changes a tenant by compare-and-set and returns it as it is then. change may be called several times. A
// tenant that is not there is tenant.ErrNotFound, and change's own error is returned as it is.
func (c *Catalog) UpdateTenant(ctx context.Context, id tenant.ID, change func(*tenant.Tenant) error) (tenant.Tenant, error) {
	if err := tenant.CheckID(id); err != nil {
		return tenant.Tenant{}, err
	}
	key := prefixTenant + "." + string(id)
	t, rev, err := update(ctx, c.bucket, key, func(cur *tenant.Tenant) error {
		if cur.ID == "" {
			return tenant.ErrNotFound
		}
		return change(cur)
	})
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("update tenant %s: %w", id, err)
	}
	c.mirror.wrote(key, mirrored{value: t, rev: rev})
	return t, nil
}

// CreateTenant stores a new tenant, or returns tenant.ErrExists.
func (c *Catalog) CreateTenant(ctx context.Context, t tenant.Tenant) error {
	if err := tenant.CheckID(t.ID); err != nil {
		return err
	}
	key := prefixTenant + "." + string(t.ID)
	rev, err := c.bucket.create(ctx, key, t)
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("create tenant %s: %w", t.ID, tenant.ErrExists)
	}
	if err != nil {
		return fmt.Errorf("create tenant %s: %w", t.ID, err)
	}
	c.mirror.wrote(key, mirrored{value: t, rev: rev})
	return nil
}

// DeleteTenant removes a tenant's record. What it owns is the caller's to remove before. A missing one is no error.
func (c *Catalog) DeleteTenant(ctx context.Context, id tenant.ID) error {
	if err := tenant.CheckID(id); err != nil {
		return err
	}
	key := prefixTenant + "." + string(id)
	if err := errors.Join(c.bucket.remove(ctx, prefixUse+"."+string(id)), c.bucket.remove(ctx, key)); err != nil {
		return fmt.Errorf("delete tenant %s: %w", id, err)
	}
	c.mirror.removed(key)
	return nil
}

// maxNotedUses bounds the keys whose last use is kept for a tenant; the ones used longest ago go first.
const maxNotedUses = 10_000

// NoteUse implements tenant.Store.
func (c *Catalog) NoteUse(ctx context.Context, id tenant.ID, used map[string]time.Time) error {
	if err := tenant.CheckID(id); err != nil {
		return err
	}
	_, _, err := update(ctx, c.bucket, prefixUse+"."+string(id), func(cur *map[string]time.Time) error {
		if *cur == nil {
			*cur = make(map[string]time.Time, len(used))
		}
		for key, at := range used {
			if at.After((*cur)[key]) {
				(*cur)[key] = at
			}
		}
		for len(*cur) > maxNotedUses {
			oldest := ""
			for key, at := range *cur {
				if oldest == "" || at.Before((*cur)[oldest]) {
					oldest = key
				}
			}
			delete(*cur, oldest)
		}
		return nil
	})
	return err
}

// LastUse returns what NoteUse kept for a tenant.
func (c *Catalog) LastUse(ctx context.Context, id tenant.ID) (map[string]time.Time, error) {
	if err := tenant.CheckID(id); err != nil {
		return nil, err
	}
	used, _, err := get[map[string]time.Time](ctx, c.bucket, prefixUse+"."+string(id))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return used, err
}

// AccessChanges returns a channel that has a value whenever tenants or keys may have changed since the last one was taken:
// here, or by another process on the same store.
func (c *Catalog) AccessChanges() <-chan struct{} { return c.mirror.changes }

// GetTenant implements tenant.Store. It answers from memory.
func (c *Catalog) GetTenant(ctx context.Context, id tenant.ID) (tenant.Tenant, error) {
	t, err := load[tenant.Tenant](ctx, c.mirror, prefixTenant+"."+string(id))
	return t, tenantError(err)
}

// ListTenants returns all tenants, by ID.
func (c *Catalog) ListTenants(ctx context.Context) ([]tenant.Tenant, error) {
	var ts []tenant.Tenant
	for t, err := range scan[tenant.Tenant](ctx, c.bucket, prefixTenant+".>") {
		if err != nil {
			return nil, err
		}
		ts = append(ts, t.value)
	}
	slices.SortFunc(ts, func(a, b tenant.Tenant) int { return cmp.Compare(a.ID, b.ID) })
	return ts, nil
}

// PutKey implements tenant.Store.
func (c *Catalog) PutKey(ctx context.Context, k tenant.Key) error {
	if err := tenant.CheckID(k.Tenant); err != nil {
		return err
	}
	if !validKeyID(k.ID) || len(k.Hash) == 0 || !k.Role.Valid() {
		return fmt.Errorf("%w: key %q without id, hash or role", ErrInvalid, k.ID)
	}
	key := prefixKey + "." + k.ID
	rev, err := c.bucket.create(ctx, key, k)
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("put key %s: %w", k.ID, tenant.ErrExists)
	}
	if err != nil {
		return fmt.Errorf("put key %s: %w", k.ID, err)
	}
	c.mirror.wrote(key, mirrored{value: k, rev: rev})
	return nil
}

// GetKey implements tenant.Store. It answers from memory.
func (c *Catalog) GetKey(ctx context.Context, keyID string) (tenant.Key, error) {
	if !validKeyID(keyID) {
		return tenant.Key{}, tenant.ErrNotFound
	}
	k, err := load[tenant.Key](ctx, c.mirror, prefixKey+"."+keyID)
	return k, tenantError(err)
}

// ListKeys returns a tenant's keys, by ID.
func (c *Catalog) ListKeys(ctx context.Context, id tenant.ID) ([]tenant.Key, error) {
	if err := tenant.CheckID(id); err != nil {
		return nil, err
	}
	var ks []tenant.Key
	for k, err := range scan[tenant.Key](ctx, c.bucket, prefixKey+".>") {
		if err != nil {
			return nil, err
		}
		if k.value.Tenant == id {
			ks = append(ks, k.value)
		}
	}
	slices.SortFunc(ks, func(a, b tenant.Key) int { return cmp.Compare(a.ID, b.ID) })
	return ks, nil
}

// DeleteKey revokes the tenant's key. A key that is another tenant's is tenant.ErrNotFound. Once it has returned, GetKey does
// not find the key.
func (c *Catalog) DeleteKey(ctx context.Context, id tenant.ID, keyID string) error {
	if !validKeyID(keyID) {
		return tenant.ErrNotFound
	}
	key := prefixKey + "." + keyID
	k, _, err := get[tenant.Key](ctx, c.bucket, key)
	if err != nil {
		return tenantError(err)
	}
	if k.Tenant != id {
		return tenant.ErrNotFound
	}
	if err := c.bucket.remove(ctx, key); err != nil {
		return fmt.Errorf("delete key %s: %w", keyID, err)
	}
	c.mirror.removed(key)
	return nil
}

// ExpireKey makes the tenant's key end at the given time, unless it ends before. A key that is another tenant's is
// tenant.ErrNotFound.
func (c *Catalog) ExpireKey(ctx context.Context, id tenant.ID, keyID string, at time.Time) error {
	if !validKeyID(keyID) {
		return tenant.ErrNotFound
	}
	key := prefixKey + "." + keyID
	k, rev, err := update(ctx, c.bucket, key, func(cur *tenant.Key) error {
		if cur.ID == "" || cur.Tenant != id {
			return tenant.ErrNotFound
		}
		if !cur.ExpiresAt.IsZero() && cur.ExpiresAt.Before(at) {
			return errUnchanged
		}
		cur.ExpiresAt = at.UTC()
		return nil
	})
	if err != nil {
		return fmt.Errorf("expire key %s: %w", keyID, err)
	}
	c.mirror.wrote(key, mirrored{value: k, rev: rev})
	return nil
}

// validKeyID keeps what an outsider sends from being more than one token of a store key.
func validKeyID(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// tenantError turns this package's not found into that of tenant.Store.
func tenantError(err error) error {
	if errors.Is(err, ErrNotFound) {
		return tenant.ErrNotFound
	}
	return err
}

// decodeMirrored returns the tenant or key, or the error that reading it gives.
func decodeMirrored(key string, data []byte) any {
	if prefix, _, _ := strings.Cut(key, "."); prefix == prefixTenant {
		t, err := decode[tenant.Tenant](key, data)
		if err != nil {
			return err
		}
		return t
	}
	k, err := decode[tenant.Key](key, data)
	if err != nil {
		return err
	}
	return k
}
