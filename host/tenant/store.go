package tenant

import (
	"context"
	"time"
)

// Store keeps tenants and keys. host/catalog implements it. Its methods may overlap.
//
// GetKey and GetTenant are on the path of every request: they must answer from memory, and once a change has returned they
// must reflect it.
type Store interface {
	// PutTenant creates or replaces a tenant.
	PutTenant(ctx context.Context, t Tenant) error
	// GetTenant returns a tenant or [ErrNotFound].
	GetTenant(ctx context.Context, id ID) (Tenant, error)
	// PutKey stores a new key, or returns [ErrExists] when there is one of that ID.
	PutKey(ctx context.Context, k Key) error
	// GetKey returns the key of that public ID, whoever owns it, or [ErrNotFound].
	GetKey(ctx context.Context, keyID string) (Key, error)
	// NoteUse keeps when keys of a tenant were last used, by key ID.
	NoteUse(ctx context.Context, id ID, used map[string]time.Time) error
}
