// Package oidc turns the ID tokens of an OpenID Connect issuer into callers: a claim says which tenant, another which role.
//
// The issuer is asked for its keys when the first token comes, and again when a token's signature cannot be verified with those that are
// known, at most every 5 s. So whoever makes up tokens does not drive requests to the issuer, and a new key of the issuer's is known
// within 5 s. The package starts no goroutines of its own; its locks are held while the issuer is asked, so that it is asked once for all
// that wait.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Config says whose tokens are taken, and what they mean.
type Config struct {
	// Issuer is the issuer's URL, exactly as its tokens name it. Required; https, unless it is on loopback.
	Issuer string
	// Audience is what a token must be meant for. Required.
	Audience string
	// TenantClaim is the claim that names the tenant. Default "tandem_tenant".
	TenantClaim string
	// RoleClaim is the claim that names the role: admin, publisher, caller or viewer. Default "tandem_role". A token
	// without it is refused.
	RoleClaim string
	// Tenants maps values of TenantClaim to tenants; with it, values that are not in it are refused. Default: the value is
	// the tenant's name.
	Tenants map[string]tenant.ID
	// HTTPClient asks the issuer. Default: one with a timeout of 10 s.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Validate returns every fault of c at once.
func (c Config) Validate() error {
	var errs []error
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "":
		errs = append(errs, fmt.Errorf("oidc: issuer %q is no URL", c.Issuer))
	case u.Scheme == "https":
	case u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost"):
	default:
		errs = append(errs, fmt.Errorf("oidc: issuer %q: want https", c.Issuer))
	}
	if c.Audience == "" {
		errs = append(errs, errors.New("oidc: no audience: every token of the issuer would be taken"))
	}
	for value, id := range c.Tenants {
		if err := tenant.CheckID(id); err != nil {
			errs = append(errs, fmt.Errorf("oidc: tenant of %q: %w", value, err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.TenantClaim == "" {
		c.TenantClaim = "tandem_tenant"
	}
	if c.RoleClaim == "" {
		c.RoleClaim = "tandem_role"
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// ErrIssuer says that the issuer does not answer, so that nothing can be said of a token.
var ErrIssuer = errors.New("the identity provider does not answer")

// maxToken bounds a token; go-oidc reads all of it before it looks at a signature.
const maxToken = 16 << 10

// maxSubject bounds who a token is of, in bytes (OpenID Connect Core 1.0, section 2): it is written to every entry of the audit log.
const maxSubject = 255

// Verifier verifies tokens. Its methods may overlap.
type Verifier struct {
	cfg Config

	mu       sync.Mutex // guards the following
	verifier *oidc.IDTokenVerifier
	failedAt time.Time // of the last attempt to reach the issuer; the zero time is never
}

var _ tenant.Verifier = (*Verifier)(nil)

// New returns a Verifier. It asks the issuer nothing yet.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Verifier{cfg: cfg.withDefaults()}, nil
}

// Verify implements tenant.Verifier. A token that is not the issuer's, not for us, expired, or without its claims is
// tenant.ErrUnauthenticated; an issuer that cannot be reached is [ErrIssuer].
func (v *Verifier) Verify(ctx context.Context, token string) (tenant.Principal, time.Time, error) {
	if len(token) > maxToken {
		return tenant.Principal{}, time.Time{}, tenant.ErrUnauthenticated
	}
	verifier, err := v.get(ctx)
	if err != nil {
		return tenant.Principal{}, time.Time{}, err
	}
	t, err := verifier.Verify(oidc.ClientContext(ctx, v.cfg.HTTPClient), token)
	if err != nil {
		return tenant.Principal{}, time.Time{}, fmt.Errorf("%w: %v", tenant.ErrUnauthenticated, err) //nolint:errorlint // its cause is nobody's business
	}
	p, err := v.principal(t)
	return p, t.Expiry, err
}

func (v *Verifier) principal(t *oidc.IDToken) (tenant.Principal, error) {
	var claims map[string]any
	if err := t.Claims(&claims); err != nil {
		return tenant.Principal{}, fmt.Errorf("%w: %v", tenant.ErrUnauthenticated, err) //nolint:errorlint // as above
	}
	value, _ := claims[v.cfg.TenantClaim].(string)
	role, _ := claims[v.cfg.RoleClaim].(string)
	id := tenant.ID(value)
	if v.cfg.Tenants != nil {
		id = v.cfg.Tenants[value]
	}
	p := tenant.Principal{Tenant: id, Subject: t.Subject, Role: tenant.Role(role)}
	if tenant.CheckID(id) != nil || !p.Role.Valid() || t.Subject == "" || len(t.Subject) > maxSubject {
		return tenant.Principal{}, fmt.Errorf("%w: no tenant, role or subject in the token", tenant.ErrUnauthenticated)
	}
	return p, nil
}

// askAgain is how long the issuer is not asked again for its keys, nor for its configuration when it did not answer.
const askAgain = 5 * time.Second

// get returns the issuer's verifier, asking the issuer for its configuration the first time.
func (v *Verifier) get(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.verifier != nil {
		return v.verifier, nil
	}
	if v.cfg.Now().Sub(v.failedAt) < askAgain {
		return nil, ErrIssuer
	}
	// What is made here outlives the call that makes it.
	lasting := oidc.ClientContext(context.WithoutCancel(ctx), v.cfg.HTTPClient)
	provider, err := oidc.NewProvider(lasting, v.cfg.Issuer)
	if err != nil {
		v.failedAt = v.cfg.Now()
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	keys := &http.Client{Transport: &keyFetcher{client: v.cfg.HTTPClient, now: v.cfg.Now}}
	v.verifier = provider.VerifierContext(oidc.ClientContext(lasting, keys), &oidc.Config{ClientID: v.cfg.Audience, Now: v.cfg.Now})
	return v.verifier, nil
}
