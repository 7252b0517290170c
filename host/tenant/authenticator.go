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

// Verifier turns a bearer token that is no API key into a caller. Package host/tenant/oidc has one.
type Verifier interface {
	// Verify returns the caller that the token names, and when the token expires. What is wrong with the token is an error
	// for which errors.Is(err, ErrUnauthenticated) holds.
	Verify(ctx context.Context, token string) (Principal, time.Time, error)
}

// AuthConfig configures an Authenticator.
type AuthConfig struct {
	// Store has tenants and keys. Required.
	Store Store
	// Tokens verifies bearer tokens that are no keys. Default: they are refused.
	Tokens Verifier
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Authenticator turns a credential into a caller. Its methods may overlap.
//
// It keeps no cache of its own: the [Store] answers GetKey from memory and reflects a revocation before DeleteKey
// returns, so a revoked key is refused from then on. What is open under a credential ends when the credential does: see
// [Authenticator.Recheck].
type Authenticator struct {
	store    Store
	tokens   Verifier
	now      func() time.Time
	sessions sessions
	uses     uses
}

// NewAuthenticator returns an Authenticator.
func NewAuthenticator(cfg AuthConfig) *Authenticator {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Authenticator{store: cfg.Store, tokens: cfg.Tokens, now: cfg.Now}
}

// Authenticate verifies the value of an Authorization header, "Bearer tdm_…", and returns its caller. The error is
// [ErrUnauthenticated], [ErrSuspended], or one of the store's.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (Principal, error) {
	p, _, err := a.authenticate(ctx, header)
	return p, err
}

// authenticate also returns when the credential expires; the zero time is never.
func (a *Authenticator) authenticate(ctx context.Context, header string) (Principal, time.Time, error) {
	plain, ok := bearer(header)
	if !ok {
		return Principal{}, time.Time{}, ErrUnauthenticated
	}
	if a.tokens != nil && !strings.HasPrefix(plain, keyPrefix) {
		return a.verifyToken(ctx, plain)
	}
	id, secret, ok := ParseKey(plain)
	if !ok {
		return Principal{}, time.Time{}, ErrUnauthenticated
	}
	k, err := a.lookup(ctx, id)
	if err != nil {
		return Principal{}, time.Time{}, err
	}
	if !k.Matches(secret) || k.ID != id || !k.Role.Valid() {
		return Principal{}, time.Time{}, ErrUnauthenticated
	}
	now := a.now()
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return Principal{}, time.Time{}, ErrUnauthenticated
	}
	if err := a.checkTenant(ctx, k.Tenant); err != nil {
		return Principal{}, time.Time{}, err
	}
	a.uses.note(k.Tenant, k.ID, now)
	return Principal{Tenant: k.Tenant, KeyID: k.ID, Role: k.Role, Graphs: k.Graphs}, k.ExpiresAt, nil
}

func (a *Authenticator) verifyToken(ctx context.Context, token string) (Principal, time.Time, error) {
	p, expires, err := a.tokens.Verify(ctx, token)
	if err != nil {
		return Principal{}, time.Time{}, err
	}
	if !p.Role.Valid() || CheckID(p.Tenant) != nil {
		return Principal{}, time.Time{}, ErrUnauthenticated
	}
	return p, expires, a.checkTenant(ctx, p.Tenant)
}

// Enter is Authenticate followed by putting the caller into the context. The context ends when leave is called, when the
// credential expires, and when [Authenticator.Recheck] finds it gone; its cause then is [ErrUnauthenticated] or
// [ErrSuspended]. A credential that is lost while Enter runs is refused. The caller calls leave, once.
func (a *Authenticator) Enter(ctx context.Context, header string) (_ context.Context, leave func(), err error) {
	p, expires, err := a.authenticate(ctx, header)
	if err != nil {
		return nil, nil, err
	}
	ctx = context.WithValue(ctx, ctxkey.Principal{}, p)
	var stop context.CancelFunc = func() {}
	if !expires.IsZero() {
		ctx, stop = context.WithDeadlineCause(ctx, expires, ErrUnauthenticated)
	}
	ctx, end := context.WithCancelCause(ctx)
	s := &session{principal: p, end: end, left: make(chan struct{}), expires: expires}
	a.sessions.add(s)
	leave = func() {
		a.sessions.remove(s)
		end(nil)
		stop()
	}
	// A change between the look-up and the line above found no session to end.
	if err := a.recheck(ctx, s); err != nil {
		leave()
		return nil, nil, err
	}
	return ctx, leave, nil
}

// Recheck ends every context whose credential does not hold any more: its key is revoked, its tenant suspended or gone. One whose key
// expires earlier than it did ends then. Call it after keys or tenants have changed. A store that does not answer ends nothing.
func (a *Authenticator) Recheck(ctx context.Context) {
	for _, s := range a.sessions.all() {
		err := a.recheck(ctx, s)
		if errors.Is(err, ErrUnauthenticated) || errors.Is(err, ErrSuspended) {
			s.end(err)
		}
	}
}

// Drain waits until every context that Enter gave for a tenant has been left, or until ctx ends and returns its error. After a
// change that has the tenant refused, and a Recheck, nobody is in when it has returned, and nobody gets in any more.
func (a *Authenticator) Drain(ctx context.Context, id ID) error {
	for _, s := range a.sessions.all() {
		if s.principal.Tenant != id {
			continue
		}
		select {
		case <-s.left:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// recheck returns why a session's credential does not hold any more: [ErrUnauthenticated], [ErrSuspended], or one of the store's. It has
// the session end with the credential.
func (a *Authenticator) recheck(ctx context.Context, s *session) error {
	p := s.principal
	if p.KeyID != "" {
		k, err := a.lookup(ctx, p.KeyID)
		if err != nil {
			return err
		}
		if k.ID != p.KeyID {
			return ErrUnauthenticated
		}
		if !k.ExpiresAt.IsZero() {
			a.sessions.expire(s, k.ExpiresAt, k.ExpiresAt.Sub(a.now()))
		}
	}
	return a.checkTenant(ctx, p.Tenant)
}

// FlushUse stores when keys were last used, as far as that changed since the last time. Call it every now and then, and at
// the end.
func (a *Authenticator) FlushUse(ctx context.Context) error {
	var errs []error
	for id, used := range a.uses.take() {
		if _, err := a.store.GetTenant(ctx, id); errors.Is(err, ErrNotFound) {
			continue // it is gone, and so are its keys
		}
		if err := a.store.NoteUse(ctx, id, used); err != nil {
			errs = append(errs, fmt.Errorf("note the use of keys of %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
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
	if t.Suspended || t.Deleting {
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
