package api

import (
	"context"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/host/api/wire"
	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/tenant"
)

// working counts a call as its tenant's work, which goes behind that of others when the tenant has more than its share of it. What is
// done for the call on the way, reading and checking messages included, is done on this goroutine.
func working(s *background.Scheduler) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			t, err := tenant.From(ctx)
			if err != nil {
				return err
			}
			ctx, task := s.Begin(ctx, string(t))
			defer task.End()
			exchangeOf(ctx).Worker = task
			return next(ctx, spec, workingStream{stream, task})
		}
	}
}

// exchangeOf returns what is known of the messages of the call that ctx belongs to.
func exchangeOf(ctx context.Context) *wire.Exchange { return &callOf(ctx).exchange }

// workingStream lets others compute while a message is waited for. It belongs to the goroutine of the call. When a message has come the
// codec looks at the task, and when one is written the writer lets it rest.
type workingStream struct {
	connect.ServerStream

	task *background.Task
}

// Receive implements connect.ServerStream.
func (s workingStream) Receive(msg any) error {
	s.task.Rest()
	return s.ServerStream.Receive(msg)
}

// Send implements connect.ServerStream.
func (s workingStream) Send(msg any) error {
	s.task.Look()
	return s.ServerStream.Send(msg)
}
