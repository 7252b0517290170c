// Package ctxkey owns the key under which a context carries its caller. It is internal to host/tenant so that only the
// packages below host/tenant can put a caller into a context; everybody else can only ask who it is.
package ctxkey

// Principal is the context key of the caller, a tenant.Principal.
type Principal struct{}
