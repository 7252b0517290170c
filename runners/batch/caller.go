package batch

import "context"

// Priority says who goes first: any number from Low to High, the higher first, and Background, which is below all.
type Priority int8

// Priorities.
const (
	Background Priority = -11 // what nobody waits for
	Low        Priority = -10
	Normal     Priority = 0
	High       Priority = 10
)

const priorities = int(High-Background) + 1

// class returns p as an index, 0 the highest.
func (p Priority) class() int {
	return int(High - min(max(p, Background), High))
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
