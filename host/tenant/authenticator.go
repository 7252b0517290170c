package tenant

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/tenant/internal/ctxkey"
)

// Authenticator turns a credential into a caller. Its methods may overlap.
//
// It keeps no cache of its own: the [Store] answers GetKey from memory and reflects a revocation before DeleteKey
// returns, so a revoked key is refused from then on.
type Authenticator struct {
	store Store
	now   func() time.Time
}

// NewAuthenticator returns an Authenticator over store. A nil now is time.Now.
func NewAuthenticator(store Store, now func() time.Time) *Authenticator {
	if now == nil {
		now = time.Now
	}
	return &Authenticator{store: store, now: now}
}

// Authenticate verifies the value of an Authorization header, "Bearer tdm_…", and returns its caller. The error is
// [ErrUnauthenticated], [ErrSuspended], or one of the store's.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (Principal, error) {
	plain, ok := bearer(header)
	if !ok {
		return Principal{}, ErrUnauthenticated
	}
	id, secret, ok := ParseKey(plain)
	if !ok {
		return Principal{}, ErrUnauthenticated
	}
	k, err := a.lookup(ctx, id)
	if err != nil {
		return Principal{}, err
	}
	if !k.Matches(secret) || k.ID != id || !k.Role.Valid() {
		return Principal{}, ErrUnauthenticated
	}
	if !k.ExpiresAt.IsZero() && !a.now().Before(k.ExpiresAt) {
		return Principal{}, ErrUnauthenticated
	}
	if err := a.checkTenant(ctx, k.Tenant); err != nil {
		return Principal{}, err
	}
	return Principal{Tenant: k.Tenant, KeyID: k.ID, Role: k.Role}, nil
}

// Enter is Authenticate followed by putting the caller into the context.
func (a *Authenticator) Enter(ctx context.Context, header string) (context.Context, error) {
	p, err := a.Authenticate(ctx, header)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, ctxkey.Principal{}, p), nil
}

// lookup returns a key that matches nothing when there is none, so that an unknown key costs the same hashing as a
// wrong one.
func (a *Authenticator) lookup(ctx context.Context, id string) (Key, error) {
	k, err := a.store.GetKey(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Key{Hash: make([]byte, sha256.Size)}, nil
	}
	if err != nil {
		return Key{}, fmt.Errorf("look up key: %w", err)
	}
	return k, nil
}

func (a *Authenticator) checkTenant(ctx context.Context, id ID) error {
	t, err := a.store.GetTenant(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return ErrUnauthenticated
	}
	if err != nil {
		return fmt.Errorf("look up tenant: %w", err)
	}
	if t.Suspended {
		return ErrSuspended
	}
	return nil
}

// bearer returns the credential of an Authorization header; the scheme's case does not count (RFC 9110, section 11.1).
func bearer(header string) (string, bool) {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	return strings.Trim(rest, " "), true
}
