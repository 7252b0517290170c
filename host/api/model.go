package api

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
)

type models struct{ *handler }

// BeginModelUpload implements tandemv1connect.ModelServiceHandler.
func (h models) BeginModelUpload(ctx context.Context, req *tandemv1.BeginModelUploadRequest) (*tandemv1.BeginModelUploadResponse, error) {
	u, err := h.begin(ctx, control.UploadModel, req.GetName(), req.GetDigest(), req.GetSizeBytes())
	if err != nil {
		return nil, err
	}
	return &tandemv1.BeginModelUploadResponse{UploadId: u.ID, CommittedOffset: u.Offset, MaxChunkBytes: int64(u.MaxChunk)}, nil
}

// PutModelChunk implements tandemv1connect.ModelServiceHandler.
func (h models) PutModelChunk(ctx context.Context, req *tandemv1.PutModelChunkRequest) (*tandemv1.PutModelChunkResponse, error) {
	off, err := h.put(ctx, req.GetUploadId(), req.GetOffset(), req.GetData(), req.GetCrc32C())
	if err != nil {
		return nil, err
	}
	return &tandemv1.PutModelChunkResponse{CommittedOffset: off}, nil
}

// FinishModelUpload implements tandemv1connect.ModelServiceHandler.
func (h models) FinishModelUpload(ctx context.Context, req *tandemv1.FinishModelUploadRequest) (*tandemv1.FinishModelUploadResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	before := h.uploadBefore(ctx, catalog.KindModel, t, req.GetUploadId())
	m, err := h.cfg.Control.AddModel(ctx, t, req.GetUploadId(), servingFrom(req.GetOptions()))
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{
		tenant: t, action: "PushModel", kind: "model", name: label(m.Name, m.Version), before: before, after: string(m.Digest),
	}); err != nil {
		return nil, err
	}
	out, err := h.modelTo(ctx, m)
	return &tandemv1.FinishModelUploadResponse{Model: out}, err
}

// GetModel implements tandemv1connect.ModelServiceHandler.
func (h models) GetModel(ctx context.Context, req *tandemv1.GetModelRequest) (*tandemv1.GetModelResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	name, at := splitRef(req.GetName())
	m, err := h.cfg.Catalog.GetModel(ctx, t, name, at)
	if err != nil {
		return nil, err
	}
	out, err := h.modelTo(ctx, m)
	return &tandemv1.GetModelResponse{Model: out}, err
}

// ListModels implements tandemv1connect.ModelServiceHandler.
func (h models) ListModels(ctx context.Context, req *tandemv1.ListModelsRequest) (*tandemv1.ListModelsResponse, error) {
	ms, next, err := h.list(ctx, req)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListModelsResponse{NextPageToken: next}
	for _, m := range ms {
		out, err := h.modelTo(ctx, m)
		if err != nil {
			return nil, err
		}
		out.Learned = nil
		res.Models = append(res.Models, out)
	}
	return res, nil
}

// list returns the newest versions, or all of one model.
func (h models) list(ctx context.Context, req *tandemv1.ListModelsRequest) ([]catalog.Model, string, error) {
	t, within, err := h.scope(ctx)
	if err != nil {
		return nil, "", err
	}
	if name := req.GetVersionsOf(); name != "" {
		all, err := h.cfg.Catalog.ModelVersions(ctx, t, name)
		return all, "", err
	}
	return h.cfg.Catalog.ListModels(ctx, t, page(req.GetPageSize(), req.GetPageToken(), within, catalog.KindModel))
}

// DeleteModel implements tandemv1connect.ModelServiceHandler.
func (h models) DeleteModel(ctx context.Context, req *tandemv1.DeleteModelRequest) (*tandemv1.DeleteModelResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	before := h.digestOf(ctx, catalog.KindModel, t, req.GetName())
	name, at := splitRef(req.GetName())
	removed, err := h.cfg.Control.DeleteModel(ctx, t, name, at)
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{tenant: t, action: "DeleteModel", kind: "model", name: req.GetName(), before: before}); err != nil {
		return nil, err
	}
	return &tandemv1.DeleteModelResponse{Versions: removedTo(removed), Tags: removed.Tags}, nil
}

func (h models) modelTo(ctx context.Context, m catalog.Model) (*tandemv1.Model, error) {
	sig, err := control.Signature(m)
	if err != nil {
		return nil, err
	}
	// A model that came before its opset was kept has none, which reads as 0.
	opset, _ := strconv.ParseInt(m.Meta[control.MetaOpset], 10, 64)
	state := h.cfg.Control.ModelState(ctx, m)
	return &tandemv1.Model{
		Name: m.Name, Version: int32(m.Version), Digest: string(m.Digest), SizeBytes: m.Size,
		CreateTime: timestamppb.New(m.CreatedAt), Inputs: modelPortsTo(sig.Inputs), Outputs: modelPortsTo(sig.Outputs),
		Producer: m.Meta[control.MetaProducer], Opset: opset, NotBatched: state.Apart, Tags: m.Tags,
		Placement: state.Placement, Options: servingTo(&state.Serving), WarmUpNote: state.WarmUp, Loaded: state.Loaded,
		MemoryBytes: state.MemoryBytes, Learned: learnedTo(&state.Cost),
	}, nil
}

func modelPortsTo(ports []runners.Port) []*tandemv1.ModelPort {
	out := make([]*tandemv1.ModelPort, len(ports))
	for i, p := range ports {
		out[i] = &tandemv1.ModelPort{Name: p.Name, DataType: dataTypeOf[abi.DType(p.DType)], HasShape: p.Dims != nil, Json: p.JSON}
		for _, d := range p.Dims {
			out[i].Dimensions = append(out[i].Dimensions, &tandemv1.ModelDimension{Size: d.Size, Name: d.Name})
		}
	}
	return out
}
