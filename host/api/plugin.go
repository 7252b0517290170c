package api

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type plugins struct{ *handler }

// BeginPluginUpload implements tandemv1connect.PluginServiceHandler.
func (h plugins) BeginPluginUpload(ctx context.Context, req *tandemv1.BeginPluginUploadRequest) (*tandemv1.BeginPluginUploadResponse, error) {
	u, err := h.begin(ctx, control.UploadPlugin, req.GetName(), req.GetDigest(), req.GetSizeBytes())
	if err != nil {
		return nil, err
	}
	return &tandemv1.BeginPluginUploadResponse{UploadId: u.ID, CommittedOffset: u.Offset, MaxChunkBytes: int64(u.MaxChunk)}, nil
}

// PutPluginChunk implements tandemv1connect.PluginServiceHandler.
func (h plugins) PutPluginChunk(ctx context.Context, req *tandemv1.PutPluginChunkRequest) (*tandemv1.PutPluginChunkResponse, error) {
	off, err := h.put(ctx, req.GetUploadId(), req.GetOffset(), req.GetData(), req.GetCrc32C())
	if err != nil {
		return nil, err
	}
	return &tandemv1.PutPluginChunkResponse{CommittedOffset: off}, nil
}

// FinishPluginUpload implements tandemv1connect.PluginServiceHandler.
func (h plugins) FinishPluginUpload(ctx context.Context, req *tandemv1.FinishPluginUploadRequest) (*tandemv1.FinishPluginUploadResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	before := h.uploadBefore(ctx, catalog.KindPlugin, t, req.GetUploadId())
	p, err := h.cfg.Control.AddPlugin(ctx, t, req.GetUploadId())
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{
		tenant: t, action: "PushPlugin", kind: "plugin", name: label(p.Name, p.Version), before: before, after: string(p.Digest),
	}); err != nil {
		return nil, err
	}
	out, err := pluginTo(p)
	return &tandemv1.FinishPluginUploadResponse{Plugin: out}, err
}

// GetPlugin implements tandemv1connect.PluginServiceHandler.
func (h plugins) GetPlugin(ctx context.Context, req *tandemv1.GetPluginRequest) (*tandemv1.GetPluginResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	name, at := splitRef(req.GetName())
	p, err := h.cfg.Catalog.GetPlugin(ctx, t, name, at)
	if err != nil {
		return nil, err
	}
	out, err := pluginTo(p)
	return &tandemv1.GetPluginResponse{Plugin: out}, err
}

// ListPlugins implements tandemv1connect.PluginServiceHandler.
func (h plugins) ListPlugins(ctx context.Context, req *tandemv1.ListPluginsRequest) (*tandemv1.ListPluginsResponse, error) {
	ps, next, err := h.list(ctx, req)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListPluginsResponse{NextPageToken: next}
	for _, p := range ps {
		out, err := pluginTo(p)
		if err != nil {
			return nil, err
		}
		res.Plugins = append(res.Plugins, out)
	}
	return res, nil
}

// list returns the newest versions, or all of one plugin.
func (h plugins) list(ctx context.Context, req *tandemv1.ListPluginsRequest) ([]catalog.Plugin, string, error) {
	t, within, err := h.scope(ctx)
	if err != nil {
		return nil, "", err
	}
	if name := req.GetVersionsOf(); name != "" {
		all, err := h.cfg.Catalog.PluginVersions(ctx, t, name)
		return all, "", err
	}
	return h.cfg.Catalog.ListPlugins(ctx, t, page(req.GetPageSize(), req.GetPageToken(), within, catalog.KindPlugin))
}

// DeletePlugin implements tandemv1connect.PluginServiceHandler.
func (h plugins) DeletePlugin(ctx context.Context, req *tandemv1.DeletePluginRequest) (*tandemv1.DeletePluginResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	before := h.digestOf(ctx, catalog.KindPlugin, t, req.GetName())
	name, at := splitRef(req.GetName())
	removed, err := h.cfg.Control.DeletePlugin(ctx, t, name, at)
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{tenant: t, action: "DeletePlugin", kind: "plugin", name: req.GetName(), before: before}); err != nil {
		return nil, err
	}
	return &tandemv1.DeletePluginResponse{Versions: removedTo(removed), Tags: removed.Tags}, nil
}

func pluginTo(p catalog.Plugin) (*tandemv1.Plugin, error) {
	var d abi.Description
	if err := json.Unmarshal(p.Description, &d); err != nil {
		return nil, fmt.Errorf("description of plugin %s@%d: %w", p.Name, p.Version, err)
	}
	out := &tandemv1.Plugin{
		Name: p.Name, Version: int32(p.Version), Digest: string(p.Digest), SizeBytes: p.Size,
		CreateTime: timestamppb.New(p.CreatedAt), Doc: d.Doc, Tags: p.Tags,
	}
	for i := range d.Functions {
		f := &d.Functions[i]
		out.Functions = append(out.Functions, &tandemv1.PluginFunction{
			Name: f.Name, Doc: f.Doc, Inputs: pluginPortsTo(f.Inputs), Outputs: pluginPortsTo(f.Outputs), WithSchema: string(f.With),
		})
	}
	return out, nil
}

func pluginPortsTo(ports []abi.Port) []*tandemv1.PluginPort {
	out := make([]*tandemv1.PluginPort, len(ports))
	for i, p := range ports {
		out[i] = &tandemv1.PluginPort{Name: p.Name, Type: typeOf(p).String(), Optional: p.Optional, Doc: p.Doc}
	}
	return out
}

// typeOf returns a declared port's type in the words of graphs.
func typeOf(p abi.Port) graph.Type {
	t := graph.Type{Shape: p.Shape}
	t.Kind, _ = abi.ParseKind(p.Kind) // the sandbox has checked both names
	t.DType, _ = abi.ParseDType(p.DType)
	if p.List {
		t.List = 1
	}
	return t
}
