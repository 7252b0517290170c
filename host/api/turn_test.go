package api

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/system"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// sender is a stream whose message comes when sent is closed.
type sender struct {
	connect.ServerStream

	sent chan struct{}
}

func (s sender) Receive(any) error { <-s.sent; return nil }

// A change begins its turn when its request is there: slow senders hold none, and a change that failed has given it back.
func TestTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := quota.New(quota.Config{Limits: func(tenant.ID) tenant.Limits { return tenant.Unlimited() }})
		var running atomic.Int32
		release := make(chan struct{})
		handle := takeTurns(door)(func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			if err := stream.Receive(nil); err != nil {
				return err
			}
			running.Add(1)
			<-release
			running.Add(-1)
			return errors.New("it failed")
		})
		ctx := system.As(t.Context(), "acme", tenant.RoleAdmin)
		ended := make(chan error)
		call := func(procedure string, s sender) {
			go func() { ended <- handle(ctx, connect.Spec{Procedure: procedure}, s) }()
			synctest.Wait()
		}
		slow, quick := sender{sent: make(chan struct{})}, sender{sent: make(chan struct{})}
		close(quick.sent)
		call(tandemv1connect.TagServiceSetTagProcedure, slow)
		call(tandemv1connect.TagServiceSetTagProcedure, quick)
		call(tandemv1connect.GraphServicePublishGraphProcedure, quick)
		if n := running.Load(); n != 1 {
			t.Errorf("%d changes go on beside a slow sender, want 1", n)
		}
		call(tandemv1connect.TagServiceListTagsProcedure, quick)
		if running.Load() != 2 {
			t.Errorf("what is no change waits for changes")
		}
		close(slow.sent)
		close(release)
		for range 4 {
			<-ended
		}
	})
}
