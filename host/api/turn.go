package api

import (
	"context"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// inTurn has procedures that check documents and write to the catalog: work on cores that no quota of calls bounds. A tenant does few
// of them at once, so that others have cores left. Uploads are not here, since they wait for the network and for models to be loaded.
var inTurn = map[string]bool{
	tandemv1connect.GraphServicePublishGraphProcedure:       true,
	tandemv1connect.GraphServiceDeleteGraphProcedure:        true,
	tandemv1connect.GraphServiceValidateGraphProcedure:      true,
	tandemv1connect.ReleaseServiceRollbackProcedure:         true,
	tandemv1connect.ReleaseServiceSetCanaryProcedure:        true,
	tandemv1connect.ReleaseServicePromoteCanaryProcedure:    true,
	tandemv1connect.ReleaseServiceAbortCanaryProcedure:      true,
	tandemv1connect.TagServiceSetTagProcedure:               true,
	tandemv1connect.TagServiceDeleteTagProcedure:            true,
	tandemv1connect.ModelServiceBeginModelUploadProcedure:   true,
	tandemv1connect.PluginServiceBeginPluginUploadProcedure: true,
}

// takeTurns lets a tenant's changes through a few at a time. A turn begins when the request has been read, so that a slow sender does
// not hold one.
func takeTurns(door *quota.Door) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if !inTurn[spec.Procedure] {
				return next(ctx, spec, stream)
			}
			t, err := tenant.From(ctx)
			if err != nil {
				return err
			}
			s := &turnStream{ServerStream: stream, wait: func() (func(), error) { return door.Turn(ctx, t) }}
			defer s.end()
			return next(ctx, spec, s)
		}
	}
}

// turnStream takes a turn once it has received a message. It belongs to the goroutine of the call.
type turnStream struct {
	connect.ServerStream

	wait func() (done func(), err error)
	done func() // nil while it has no turn
}

// Receive implements connect.ServerStream.
func (s *turnStream) Receive(msg any) error {
	err := s.ServerStream.Receive(msg)
	if err == nil && s.done == nil {
		s.done, err = s.wait()
	}
	return err
}

func (s *turnStream) end() {
	if s.done != nil {
		s.done()
	}
}
