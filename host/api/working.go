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
			callOf(ctx).task = task
			return next(ctx, spec, workingStream{stream, task})
		}
	}
}

// worker returns what is told of the work for the call of ctx while its messages are read.
func worker(ctx context.Context) wire.Worker { return callOf(ctx).task }

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
