// Package tenant owns who is calling: tenants and their names, roles, API keys, and the caller that a context carries.
//
// A caller enters a context in two ways only: [Authenticator.Enter] after it verified a credential, and package
// host/tenant/system for work that the server does on its own account, which is an import of its own so that its users
// can be listed. Reading is open to all: [From] and [PrincipalFrom]. A context without a caller is an error, [ErrNone].
//
// The package starts no goroutines. Its locks are leaves: nothing is called while one is held.
package tenant

import (
	"context"
	"time"

	"github.com/tandem-serve/tandem/host/tenant/internal/ctxkey"
)

// ID names a tenant. Valid ones match [CheckID]; the zero ID is no tenant.
type ID string

// Default is the tenant that a server makes on its first start. Its admins also administer the server.
const Default ID = "default"

// Tenant is one tenant as it is stored.
type Tenant struct {
	ID        ID        `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	// Suspended tenants are refused at authentication; what they own stays.
	Suspended bool `json:"suspended,omitempty"`
	// Deleting tenants are on their way out: they are refused like suspended ones, and what they own goes. A deletion that
	// was cut short is finished at the next start.
	Deleting bool `json:"deleting,omitempty"`
	// Limits are what the tenant may use; see [Tenant.Effective].
	Limits Limits `json:"limits,omitzero"`
}

// From returns the tenant that ctx acts for, or [ErrNone].
func From(ctx context.Context) (ID, error) {
	p, err := PrincipalFrom(ctx)
	return p.Tenant, err
}

// PrincipalFrom returns the caller that ctx carries, or [ErrNone].
func PrincipalFrom(ctx context.Context) (Principal, error) {
	p, ok := ctx.Value(ctxkey.Principal{}).(Principal)
	if !ok || p.Tenant == "" {
		return Principal{}, ErrNone
	}
	return p, nil
}
