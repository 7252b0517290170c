package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type records struct{ *handler }

// ListRecords implements tandemv1connect.RecordServiceHandler.
func (h records) ListRecords(ctx context.Context, req *tandemv1.ListRecordsRequest) (*tandemv1.ListRecordsResponse, error) {
	p, err := tenant.PrincipalFrom(ctx)
	if err != nil {
		return nil, err
	}
	f := record.Filter{Stream: req.GetStream(), Graphs: p.Graphs, Limit: int(req.GetPageSize()), Token: req.GetPageToken()}
	if req.GetGraph() != "" {
		f.Graphs = []string{req.GetGraph()}
	}
	if req.GetSince() != nil {
		f.Since = req.GetSince().AsTime()
	}
	rs, next, err := h.cfg.Records.List(ctx, p.Tenant, f)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListRecordsResponse{NextPageToken: next}
	for _, r := range rs {
		res.Records = append(res.Records, &tandemv1.Record{
			Id: r.ID, Stream: r.Stream, Graph: r.Graph, GraphVersion: int32(r.Release), Node: r.Node, RequestId: r.RequestID,
			CreateTime: timestamppb.New(r.At), Json: string(r.Doc),
		})
	}
	return res, nil
}
