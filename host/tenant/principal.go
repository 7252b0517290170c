package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Role says what a caller may do inside its tenant.
type Role string

// The roles. Admin includes publisher, and publisher includes caller and viewer; caller and viewer do not include each
// other.
const (
	RoleAdmin     Role = "admin"
	RolePublisher Role = "publisher"
	RoleCaller    Role = "caller"
	RoleViewer    Role = "viewer"
)

// Valid reports whether r is one of the four roles.
func (r Role) Valid() bool {
	switch r {
	case RoleAdmin, RolePublisher, RoleCaller, RoleViewer:
		return true
	}
	return false
}

// Action is a class of calls that a role allows or not.
type Action string

// The actions.
const (
	// ActionView reads models, plugins, graphs and records.
	ActionView Action = "view"
	// ActionCall calls graphs.
	ActionCall Action = "call"
	// ActionDescribe reads what a graph takes and gives, which callers have to know too.
	ActionDescribe Action = "describe"
	// ActionPublish uploads, publishes, tags and deletes models, plugins and graphs.
	ActionPublish Action = "publish"
	// ActionManage creates and revokes keys of the caller's tenant.
	ActionManage Action = "manage"
	// ActionOperate creates, limits, suspends and deletes tenants. Admins of [Default] only.
	ActionOperate Action = "operate"
)

// Principal is an authenticated caller.
type Principal struct {
	Tenant ID
	// KeyID is the public part of the API key, "" when the caller used none.
	KeyID string
	// Subject is who an identity provider says the caller is, "" for a caller with a key.
	Subject string
	Role    Role
	// Graphs are the only ones that the caller's role is for; none is everything of the tenant. See [Principal.HasGraph] and
	// [Principal.HasNamed].
	Graphs []string
}

// Scoped reports whether the caller's role is for some graphs only. Admins' never is.
func (p Principal) Scoped() bool { return len(p.Graphs) > 0 }

// HasGraph reports whether the caller's scope has the graph of that name.
func (p Principal) HasGraph(name string) bool {
	return !p.Scoped() || slices.Contains(p.Graphs, name)
}

// HasNamed reports whether the caller's scope has what is named after a graph: models and plugins whose name up to the last dot is
// one of its graphs, as ocr.detect is the graph ocr's. So each belongs to one graph at most, and nobody has to be asked which.
func (p Principal) HasNamed(name string) bool {
	if !p.Scoped() {
		return true
	}
	i := strings.LastIndexByte(name, '.')
	return i > 0 && slices.Contains(p.Graphs, name[:i])
}

// Actor names the caller for an audit trail: "key:ID", "oidc:SUBJECT", or "server".
func (p Principal) Actor() string {
	switch {
	case p.KeyID != "":
		return "key:" + p.KeyID
	case p.Subject != "":
		return "oidc:" + p.Subject
	}
	return "server"
}

// Can reports whether p may do a.
func (p Principal) Can(a Action) bool {
	if p.Tenant == "" || !p.Role.Valid() {
		return false
	}
	switch a {
	case ActionDescribe:
		return true
	case ActionView:
		return p.Role != RoleCaller
	case ActionCall:
		return p.Role != RoleViewer
	case ActionPublish:
		return p.Role == RoleAdmin || p.Role == RolePublisher
	case ActionManage:
		return p.Role == RoleAdmin && !p.Scoped()
	case ActionOperate:
		return p.Role == RoleAdmin && !p.Scoped() && p.Tenant == Default
	}
	return false
}

// Require returns the caller's tenant if the caller may do a. Its errors are [ErrNone] and [ErrDenied].
func Require(ctx context.Context, a Action) (ID, error) {
	p, err := PrincipalFrom(ctx)
	if err != nil {
		return "", err
	}
	if !p.Can(a) {
		return "", fmt.Errorf("%w: role %s may not %s", ErrDenied, p.Role, a)
	}
	return p.Tenant, nil
}
