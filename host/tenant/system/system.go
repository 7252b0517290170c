// Package system lets the server act for a tenant on its own account: at start-up, in background work and in tests. It
// is a package of its own so that whoever does so shows in the list of its importers; request handlers must not.
package system

import (
	"context"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/internal/ctxkey"
)

// As returns a context that acts for id with the given role and without a key.
func As(ctx context.Context, id tenant.ID, role tenant.Role) context.Context {
	return context.WithValue(ctx, ctxkey.Principal{}, tenant.Principal{Tenant: id, Role: role})
}
