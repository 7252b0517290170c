package tenant

import (
	"context"
	"time"
)

// Store keeps tenants and keys. host/catalog implements it. Its methods may overlap.
//
// GetKey is on the path of every request: it must answer from memory, and once PutKey or DeleteKey has returned it must
// reflect them.
type Store interface {
	// PutTenant creates or replaces a tenant.
	PutTenant(ctx context.Context, t Tenant) error
	// GetTenant returns a tenant or [ErrNotFound].
	GetTenant(ctx context.Context, id ID) (Tenant, error)
	// ListTenants returns all tenants, sorted by ID.
	ListTenants(ctx context.Context) ([]Tenant, error)
	// PutKey stores a new key, or returns [ErrExists] when there is one of that ID.
	PutKey(ctx context.Context, k Key) error
	// GetKey returns the key of that public ID, whoever owns it, or [ErrNotFound].
	GetKey(ctx context.Context, keyID string) (Key, error)
	// ListKeys returns the tenant's keys, sorted by ID.
	ListKeys(ctx context.Context, id ID) ([]Key, error)
	// DeleteKey revokes the tenant's key. A key that is another tenant's is [ErrNotFound].
	DeleteKey(ctx context.Context, id ID, keyID string) error
	// DeleteTenant removes a tenant's record. What it owns is the caller's to remove before. A missing one is no error.
	DeleteTenant(ctx context.Context, id ID) error
	// NoteUse keeps when keys of a tenant were last used, by key ID.
	NoteUse(ctx context.Context, id ID, used map[string]time.Time) error
	// LastUse returns what NoteUse kept for a tenant.
	LastUse(ctx context.Context, id ID) (map[string]time.Time, error)
}
