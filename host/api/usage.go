package api

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/usage"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// GetUsage implements tandemv1connect.TenantServiceHandler.
func (h tenants) GetUsage(ctx context.Context, req *tandemv1.GetUsageRequest) (*tandemv1.GetUsageResponse, error) {
	id, err := h.about(ctx, req.GetTenant())
	if err != nil {
		return nil, err
	}
	to := time.Now()
	if req.GetTo() != nil {
		to = req.GetTo().AsTime()
	}
	from := to.Add(-24 * time.Hour)
	if req.GetFrom() != nil {
		from = req.GetFrom().AsTime()
	}
	if !from.Before(to) {
		return nil, fmt.Errorf("%w: the range of time is empty: from %s to %s", errInput, from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	ms, err := h.cfg.Usage.Query(ctx, id, from.Truncate(time.Minute), to)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.GetUsageResponse{Total: usageTo(usage.Minute{Start: from, Sum: usage.Total(ms)})}
	if step := req.GetStep().AsDuration(); step > 0 {
		for _, m := range usage.ByStep(ms, step) {
			res.Rows = append(res.Rows, usageTo(m))
		}
	}
	return res, nil
}

func usageTo(m usage.Minute) *tandemv1.Usage {
	return &tandemv1.Usage{
		From: timestamppb.New(m.Start), Requests: m.Requests, Failed: m.Failed, Fuel: m.Fuel, Compute: durationpb.New(m.Compute),
		BytesIn: m.BytesIn, BytesOut: m.BytesOut, Records: m.Records,
	}
}

// everyTenant is what an admin of the server asks for to see the changes of all.
const everyTenant = "*"

// ListChanges implements tandemv1connect.TenantServiceHandler.
func (h tenants) ListChanges(ctx context.Context, req *tandemv1.ListChangesRequest) (*tandemv1.ListChangesResponse, error) {
	f := audit.Filter{Size: int(req.GetPageSize()), After: req.GetPageToken()}
	if req.GetTenant() == everyTenant {
		if _, err := tenant.Require(ctx, tenant.ActionOperate); err != nil {
			return nil, err
		}
	} else {
		id, err := h.about(ctx, req.GetTenant())
		if err != nil {
			return nil, err
		}
		f.Tenant = id
	}
	if req.GetSince() != nil {
		f.Since = req.GetSince().AsTime()
	}
	cs, err := h.cfg.Audit.List(ctx, f)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListChangesResponse{}
	for i := range cs {
		res.Changes = append(res.Changes, changeTo(&cs[i]))
		res.NextPageToken = cs[i].ID
	}
	return res, nil
}

func changeTo(c *audit.Change) *tandemv1.Change {
	return &tandemv1.Change{
		Time: timestamppb.New(c.At), Tenant: string(c.Tenant), Actor: c.Actor, ActorTenant: string(c.By), Action: c.Action,
		Kind: c.Kind, Name: c.Name, Before: c.Before, After: c.After, RequestId: c.RequestID,
	}
}
