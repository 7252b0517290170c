package api

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type tags struct{ *handler }

var tagKinds = map[tandemv1.TagKind]catalog.Kind{
	tandemv1.TagKind_TAG_KIND_MODEL:  catalog.KindModel,
	tandemv1.TagKind_TAG_KIND_PLUGIN: catalog.KindPlugin,
	tandemv1.TagKind_TAG_KIND_GRAPH:  catalog.KindGraph,
}

// SetTag implements tandemv1connect.TagServiceHandler.
func (h tags) SetTag(ctx context.Context, req *tandemv1.SetTagRequest) (*tandemv1.SetTagResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	kind := tagKinds[req.GetKind()]
	name, at := splitRef(req.GetName())
	version, err := h.version(ctx, kind, t, name, at)
	if err != nil {
		return nil, err
	}
	was, err := h.cfg.Catalog.SetTag(ctx, kind, t, name, req.GetTag(), version)
	if err != nil {
		return nil, err
	}
	if err := h.tagged(ctx, t, "SetTag", kind, name, req.GetTag(), was, version); err != nil {
		return nil, err
	}
	return &tandemv1.SetTagResponse{Version: int32(version), Was: int32(was)}, nil
}

// version returns the version that name@at means now.
func (h tags) version(ctx context.Context, kind catalog.Kind, t tenant.ID, name, at string) (int, error) {
	switch kind {
	case catalog.KindModel:
		m, err := h.cfg.Catalog.GetModel(ctx, t, name, at)
		return m.Version, err
	case catalog.KindPlugin:
		p, err := h.cfg.Catalog.GetPlugin(ctx, t, name, at)
		return p.Version, err
	case catalog.KindGraph:
		rel, err := h.cfg.Catalog.GetGraph(ctx, t, name, at)
		return rel.Version, err
	}
	return 0, fmt.Errorf("%w: kind %q", errInput, kind)
}

// DeleteTag implements tandemv1connect.TagServiceHandler.
func (h tags) DeleteTag(ctx context.Context, req *tandemv1.DeleteTagRequest) (*tandemv1.DeleteTagResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	kind := tagKinds[req.GetKind()]
	was, err := h.cfg.Catalog.DeleteTag(ctx, kind, t, req.GetName(), req.GetTag())
	if err != nil {
		return nil, err
	}
	if err := h.tagged(ctx, t, "DeleteTag", kind, req.GetName(), req.GetTag(), was, 0); err != nil {
		return nil, err
	}
	return &tandemv1.DeleteTagResponse{Was: int32(was)}, nil
}

// tagged writes to the audit log that a tag moved from one version to another, 0 for none.
func (h tags) tagged(ctx context.Context, t tenant.ID, action string, kind catalog.Kind, name, tag string, was, is int) error {
	digest := func(version int) string {
		if version == 0 {
			return ""
		}
		return h.digestOf(ctx, kind, t, label(name, version))
	}
	return h.changed(ctx, change{
		tenant: t, action: action, kind: string(kind), name: name + "@" + tag, before: digest(was), after: digest(is),
	})
}

// ListTags implements tandemv1connect.TagServiceHandler.
func (h tags) ListTags(ctx context.Context, req *tandemv1.ListTagsRequest) (*tandemv1.ListTagsResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	kind := tagKinds[req.GetKind()]
	all, err := h.cfg.Catalog.Tags(ctx, kind, t, req.GetName())
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListTagsResponse{}
	for _, tag := range slices.Sorted(maps.Keys(all)) {
		res.Tags = append(res.Tags, &tandemv1.Tag{Tag: tag, Version: int32(all[tag]), Automatic: catalog.Automatic(kind, tag)})
	}
	return res, nil
}

// removedTo writes the numbers of versions that are gone.
func removedTo(r catalog.Removed) []int32 {
	out := make([]int32, len(r.Versions))
	for i, v := range r.Versions {
		out[i] = int32(v)
	}
	return out
}
