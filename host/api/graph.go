package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type graphs struct{ *handler }

// splitRef separates name@ref.
func splitRef(s string) (name, ref string) {
	name, ref, _ = strings.Cut(s, "@")
	return name, ref
}

// ValidateGraph implements tandemv1connect.GraphServiceHandler.
func (h graphs) ValidateGraph(ctx context.Context, req *tandemv1.ValidateGraphRequest) (*tandemv1.ValidateGraphResponse, error) {
	t, within, err := h.scope(ctx)
	if err != nil {
		return nil, err
	}
	res, err := h.validate(ctx, t, within, req)
	if faults, ok := errors.AsType[graph.Faults](err); ok {
		return &tandemv1.ValidateGraphResponse{Faults: faultsTo(faults)}, nil
	}
	return res, err
}

func (h graphs) validate(ctx context.Context, t tenant.ID, within control.Scope, req *tandemv1.ValidateGraphRequest) (*tandemv1.ValidateGraphResponse, error) {
	doc, err := documentOf(req.GetDocument(), req.GetDefinition())
	if err != nil {
		return nil, err
	}
	c, err := h.cfg.Control.Check(ctx, t, within, doc)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ValidateGraphResponse{
		Graph: graphTo(catalog.Release{Name: c.Plan.Name, Pins: c.Pins}, c.Plan), Mermaid: graph.Mermaid(c.Plan),
	}
	res.Written, res.Definition, err = written(req.GetForm(), doc, c.Plan)
	return res, err
}

// PublishGraph implements tandemv1connect.GraphServiceHandler.
func (h graphs) PublishGraph(ctx context.Context, req *tandemv1.PublishGraphRequest) (*tandemv1.PublishGraphResponse, error) {
	t, within, err := h.scope(ctx)
	if err != nil {
		return nil, err
	}
	doc, err := documentOf(req.GetDocument(), req.GetDefinition())
	if err != nil {
		return nil, err
	}
	before := h.published(ctx, t, doc, req.GetStage())
	rel, plan, err := h.cfg.Control.Publish(ctx, t, control.PublishParams{Document: doc, Stage: req.GetStage(), Within: within})
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{
		tenant: t, action: "PublishGraph", kind: "graph", name: label(rel.Name, rel.Version), before: before, after: string(rel.Digest),
	}); err != nil {
		return nil, err
	}
	return &tandemv1.PublishGraphResponse{Graph: graphTo(rel, plan), Current: rel.Current}, nil
}

// GetGraph implements tandemv1connect.GraphServiceHandler. Who may only call gets what the graph takes and gives, and is refused every
// form, whether there is such a graph or not: each shows the nodes.
func (h graphs) GetGraph(ctx context.Context, req *tandemv1.GetGraphRequest) (*tandemv1.GetGraphResponse, error) {
	p, err := tenant.PrincipalFrom(ctx)
	if err != nil {
		return nil, err
	}
	inside := p.Can(tenant.ActionView)
	if !inside && req.GetForm() != tandemv1.GraphForm_GRAPH_FORM_UNSPECIFIED {
		return nil, errInside
	}
	name, at := splitRef(req.GetName())
	rel, err := h.cfg.Catalog.GetGraph(ctx, p.Tenant, name, at)
	if err != nil {
		return nil, err
	}
	plan, err := h.cfg.Control.Plan(ctx, rel)
	if err != nil {
		return nil, err
	}
	if !inside {
		rel.Pins, rel.Document = nil, nil
	}
	g := graphTo(rel, plan)
	g.Document = string(rel.Document)
	res := &tandemv1.GetGraphResponse{Graph: g}
	res.Written, res.Definition, err = written(req.GetForm(), rel.Document, plan)
	return res, err
}

// ListGraphs implements tandemv1connect.GraphServiceHandler.
func (h graphs) ListGraphs(ctx context.Context, req *tandemv1.ListGraphsRequest) (*tandemv1.ListGraphsResponse, error) {
	t, within, err := h.scope(ctx)
	if err != nil {
		return nil, err
	}
	rels, next, err := h.cfg.Catalog.ListGraphs(ctx, t, page(req.GetPageSize(), req.GetPageToken(), within, catalog.KindGraph))
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListGraphsResponse{NextPageToken: next}
	for _, rel := range rels {
		res.Graphs = append(res.Graphs, graphTo(rel, nil))
	}
	return res, nil
}

// DeleteGraph implements tandemv1connect.GraphServiceHandler.
func (h graphs) DeleteGraph(ctx context.Context, req *tandemv1.DeleteGraphRequest) (*tandemv1.DeleteGraphResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	before := h.digestOf(ctx, catalog.KindGraph, t, req.GetName())
	name, at := splitRef(req.GetName())
	removed, err := h.cfg.Control.DeleteGraph(ctx, t, name, at)
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{tenant: t, action: "DeleteGraph", kind: "graph", name: req.GetName(), before: before}); err != nil {
		return nil, err
	}
	return &tandemv1.DeleteGraphResponse{Versions: removedTo(removed), Tags: removed.Tags}, nil
}

// published returns the digest of the release that a document is to take the place of: the current one, or the newest one when it is
// only staged; "" for none, also when the document is wrong.
func (h *handler) published(ctx context.Context, t tenant.ID, doc []byte, stage bool) string {
	g, err := graph.Parse(doc)
	if err != nil {
		return ""
	}
	ref := g.Name
	if stage {
		ref += "@" + catalog.Latest
	}
	return h.digestOf(ctx, catalog.KindGraph, t, ref)
}

// label writes name@version.
func label(name string, version int) string { return fmt.Sprintf("%s@%d", name, version) }

// graphTo writes a release; without a plan its ports stay out, as in lists.
func graphTo(rel catalog.Release, plan *graph.Plan) *tandemv1.Graph {
	out := &tandemv1.Graph{Name: rel.Name, Version: int32(rel.Version), Digest: string(rel.Digest), Tags: rel.Tags}
	if !rel.CreatedAt.IsZero() {
		out.CreateTime = timestamppb.New(rel.CreatedAt)
	}
	for _, p := range rel.Pins {
		out.Pins = append(out.Pins, pinTo(p))
	}
	if plan == nil {
		return out
	}
	for i := range plan.Inputs {
		p := &plan.Inputs[i]
		out.Inputs = append(out.Inputs, &tandemv1.GraphPort{Name: p.Name, Type: p.Type.String(), Optional: p.Optional || p.Default != nil})
	}
	for i := range plan.Outputs {
		p := &plan.Outputs[i]
		out.Outputs = append(out.Outputs, &tandemv1.GraphPort{Name: p.Name, Type: p.Type.String()})
	}
	return out
}

func pinTo(p catalog.Pin) *tandemv1.Pin {
	return &tandemv1.Pin{Kind: string(p.Kind), Name: p.Name, Version: int32(p.Version), Digest: string(p.Digest)}
}
