package runners

import "context"

// Observer is told what a run does besides computing. Its methods must be quick; those of one run may overlap with each other
// when it is run in parts.
type Observer interface {
	// Copied tells of bytes that were copied to bring tensors in or out.
	Copied(bytes int)
}

type observerKey struct{}

// WithObserver returns a context whose run o observes, whatever Runners it passes through.
func WithObserver(ctx context.Context, o Observer) context.Context {
	return context.WithValue(ctx, observerKey{}, o)
}

// ObserverOf returns the Observer of ctx's run, nil when there is none.
func ObserverOf(ctx context.Context) Observer {
	o, _ := ctx.Value(observerKey{}).(Observer)
	return o
}
