package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// ErrKey says that a key cannot be made as asked.
var ErrKey = errors.New("invalid key")

// maxKeys bounds the keys of one tenant.
const maxKeys = 1000

// CreateKey makes a key and returns it with its plain text, which is not kept. p.Now is set here. Errors: [ErrKey],
// tenant.ErrNotFound for the tenant, tenant.ErrName, and the catalog's.
func (m *Manager) CreateKey(ctx context.Context, p tenant.KeyParams) (tenant.Key, string, error) {
	p.Now = time.Now()
	if err := m.checkKey(ctx, p); err != nil {
		return tenant.Key{}, "", err
	}
	k, plain := tenant.NewKey(p)
	if err := m.cfg.Catalog.PutKey(ctx, k); err != nil {
		return tenant.Key{}, "", err
	}
	return k, plain, nil
}

func (m *Manager) checkKey(ctx context.Context, p tenant.KeyParams) error {
	if len(p.Graphs) > 0 && p.Role == tenant.RoleAdmin {
		return fmt.Errorf("%w: a key of role admin cannot be kept to some graphs: it makes keys, also such that are kept to none", ErrKey)
	}
	for _, g := range p.Graphs {
		if err := tenant.CheckName(g); err != nil {
			return err
		}
	}
	if !p.ExpiresAt.IsZero() && !p.ExpiresAt.After(p.Now) {
		return fmt.Errorf("%w: it would have expired already", ErrKey)
	}
	if _, err := m.cfg.Catalog.GetTenant(ctx, p.Tenant); err != nil {
		return fmt.Errorf("tenant %s: %w", p.Tenant, err)
	}
	ks, err := m.cfg.Catalog.ListKeys(ctx, p.Tenant)
	if err != nil {
		return err
	}
	if len(ks) >= maxKeys {
		return &tenant.QuotaError{
			Quota: "keys", Limit: maxKeys, Use: int64(len(ks)), Need: 1, RetryAfterSeconds: tenant.RetryHeld, Advice: "revoke some first",
		}
	}
	return nil
}

// KeyUse is a key with its last use; the zero time is never.
type KeyUse struct {
	tenant.Key
	LastUse time.Time
}

// Keys returns a tenant's keys, by ID.
func (m *Manager) Keys(ctx context.Context, id tenant.ID) ([]KeyUse, error) {
	if _, err := m.cfg.Catalog.GetTenant(ctx, id); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", id, err)
	}
	ks, err := m.cfg.Catalog.ListKeys(ctx, id)
	if err != nil {
		return nil, err
	}
	used, err := m.cfg.Catalog.LastUse(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]KeyUse, len(ks))
	for i, k := range ks {
		out[i] = KeyUse{Key: k, LastUse: used[k.ID]}
	}
	return out, nil
}

// Rotated is a key in the place of another.
type Rotated struct {
	// Old is as it was before, New the one in its place.
	Old, New tenant.Key
	// Plain is the new one's plain text, which is not kept.
	Plain string
}

// RotateKey makes a key like an old one of the tenant, which is refused after grace. The new one lives as long as the old
// one was meant to. An old key that is another tenant's is tenant.ErrNotFound.
func (m *Manager) RotateKey(ctx context.Context, id tenant.ID, keyID string, grace time.Duration) (Rotated, error) {
	old, err := m.key(ctx, id, keyID)
	if err != nil {
		return Rotated{}, err
	}
	now := time.Now()
	p := tenant.KeyParams{Tenant: id, Name: old.Name, Role: old.Role, Graphs: old.Graphs}
	if !old.ExpiresAt.IsZero() {
		p.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
	}
	k, plain, err := m.CreateKey(ctx, p)
	if err != nil {
		return Rotated{}, err
	}
	if grace <= 0 {
		err = m.cfg.Catalog.DeleteKey(ctx, id, keyID)
	} else {
		err = m.cfg.Catalog.ExpireKey(ctx, id, keyID, now.Add(grace))
	}
	if err != nil {
		return Rotated{}, errors.Join(err, m.cfg.Catalog.DeleteKey(ctx, id, k.ID))
	}
	return Rotated{Old: old, New: k, Plain: plain}, nil
}

// RevokeKey refuses a key of the tenant from now on, and returns it as it was. A key that is another tenant's is tenant.ErrNotFound.
func (m *Manager) RevokeKey(ctx context.Context, id tenant.ID, keyID string) (tenant.Key, error) {
	k, err := m.key(ctx, id, keyID)
	if err != nil {
		return tenant.Key{}, err
	}
	return k, m.cfg.Catalog.DeleteKey(ctx, id, keyID)
}

// key returns a key of the tenant.
func (m *Manager) key(ctx context.Context, id tenant.ID, keyID string) (tenant.Key, error) {
	k, err := m.cfg.Catalog.GetKey(ctx, keyID)
	if err == nil && k.Tenant != id {
		err = tenant.ErrNotFound
	}
	if err != nil {
		return tenant.Key{}, fmt.Errorf("key %s: %w", keyID, err)
	}
	return k, nil
}
