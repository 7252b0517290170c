package tenant

import "errors"

var (
	// ErrNone says that a context carries no caller: a handler was reached without authentication, a bug in the server.
	ErrNone = errors.New("no tenant in the context")
	// ErrUnauthenticated says that a credential is missing, malformed, unknown, wrong, expired or revoked. Which of them
	// is not told apart on purpose.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrSuspended says that the credential is good but its tenant is suspended.
	ErrSuspended = errors.New("tenant is suspended")
	// ErrDenied says that the caller's role does not allow the action.
	ErrDenied = errors.New("permission denied")
	// ErrScope says that the caller's role is for some graphs only, and that the call is about something else.
	ErrScope = errors.New("outside of the key's scope")
	// ErrNotFound says that a [Store] has no such tenant or key.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a [Store] already has a tenant or key of that name.
	ErrExists = errors.New("already exists")
	// ErrName says that a name breaks the rules of [CheckID], [CheckName] or [CheckTag].
	ErrName = errors.New("invalid name")
)
