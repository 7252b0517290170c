package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type servers struct{ *handler }

// GetServerInfo implements tandemv1connect.ServerServiceHandler.
func (h servers) GetServerInfo(ctx context.Context, _ *tandemv1.GetServerInfoRequest) (*tandemv1.GetServerInfoResponse, error) {
	p, err := tenant.PrincipalFrom(ctx)
	if err != nil {
		return nil, err
	}
	s := h.cfg.Server
	return &tandemv1.GetServerInfoResponse{
		Version: s.Version, OnnxruntimeVersion: s.ONNXRuntime, OnnxruntimeMissing: s.Missing,
		Uptime: durationpb.New(time.Since(s.Started)), Tenant: string(p.Tenant), Role: string(p.Role), Graphs: p.Graphs,
		PluginAbis: []string{abi.ImportModule}, MaxRequestBytes: int64(h.cfg.MaxRequestBytes),
	}, nil
}

// GetPlan implements tandemv1connect.ServerServiceHandler.
func (h servers) GetPlan(ctx context.Context, _ *tandemv1.GetPlanRequest) (*tandemv1.GetPlanResponse, error) {
	t, within, err := h.scope(ctx)
	if err != nil {
		return nil, err
	}
	s := h.cfg.Control.PlanState(t, within)
	return planTo(&s), nil
}
