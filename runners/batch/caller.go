package batch

import "context"

// Priority says who goes first.
type Priority int8

// Priorities.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
)

const priorities = 3

// class returns p as an index, 0 the highest.
func (p Priority) class() int {
	return int(High - min(max(p, Low), High))
}

// Caller is on whose behalf a request runs.
type Caller struct {
	// Tenant is who gets turns of its own. Default "".
	Tenant string
	// Priority is how urgent the request is. Default Normal.
	Priority Priority
}

type callerKey struct{}

// WithCaller returns a context whose requests run on behalf of c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
