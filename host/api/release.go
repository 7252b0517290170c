package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type releases struct{ *handler }

// ListReleases implements tandemv1connect.ReleaseServiceHandler.
func (h releases) ListReleases(ctx context.Context, req *tandemv1.ListReleasesRequest) (*tandemv1.ListReleasesResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	g, err := h.cfg.Catalog.DescribeGraph(ctx, t, req.GetGraph())
	if err != nil {
		return nil, err
	}
	rels := g.Releases
	if n := int(req.GetLimit()); n > 0 && n < len(rels) {
		rels = rels[:n]
	}
	res := &tandemv1.ListReleasesResponse{Routing: routingTo(g)}
	for i := range rels {
		full, err := h.cfg.Catalog.GetGraph(ctx, t, g.Name, strconv.Itoa(rels[i].Version))
		if errors.Is(err, catalog.ErrNotFound) {
			continue // newer ones took its place meanwhile
		}
		if err != nil {
			return nil, err
		}
		rels[i].Pins = full.Pins
		res.Releases = append(res.Releases, releaseTo(rels[i], graphTo(rels[i], nil), g.Canary))
	}
	return res, nil
}

// GetRelease implements tandemv1connect.ReleaseServiceHandler.
func (h releases) GetRelease(ctx context.Context, req *tandemv1.GetReleaseRequest) (*tandemv1.GetReleaseResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	name, at := splitRef(req.GetName())
	rel, err := h.cfg.Catalog.GetGraph(ctx, t, name, at)
	if err != nil {
		return nil, err
	}
	g, err := h.cfg.Catalog.DescribeGraph(ctx, t, name)
	if err != nil {
		return nil, err
	}
	plan, err := h.cfg.Control.Plan(ctx, rel)
	if err != nil {
		return nil, err
	}
	out := graphTo(rel, plan)
	out.Document = string(rel.Document)
	return &tandemv1.GetReleaseResponse{Release: releaseTo(rel, out, g.Canary)}, nil
}

// DiffReleases implements tandemv1connect.ReleaseServiceHandler.
func (h releases) DiffReleases(ctx context.Context, req *tandemv1.DiffReleasesRequest) (*tandemv1.DiffReleasesResponse, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	g, err := h.cfg.Catalog.DescribeGraph(ctx, t, req.GetGraph())
	if err != nil {
		return nil, err
	}
	from, err := h.cfg.Catalog.GetGraph(ctx, t, g.Name, req.GetFrom())
	if err != nil {
		return nil, err
	}
	to, err := h.cfg.Catalog.GetGraph(ctx, t, g.Name, req.GetTo())
	if err != nil {
		return nil, err
	}
	res := &tandemv1.DiffReleasesResponse{
		From: releaseTo(from, graphTo(from, nil), g.Canary), To: releaseTo(to, graphTo(to, nil), g.Canary),
		Document: control.DiffDocuments(from, to),
	}
	for _, c := range control.DiffPins(from.Pins, to.Pins) {
		change := &tandemv1.PinChange{}
		if c.From.Name != "" {
			change.From = pinTo(c.From)
		}
		if c.To.Name != "" {
			change.To = pinTo(c.To)
		}
		res.Pins = append(res.Pins, change)
	}
	return res, nil
}

// Rollback implements tandemv1connect.ReleaseServiceHandler.
func (h releases) Rollback(ctx context.Context, req *tandemv1.RollbackRequest) (*tandemv1.RollbackResponse, error) {
	was, now, err := h.move(ctx, "Rollback", func(t tenant.ID) (catalog.Moved, error) {
		return h.cfg.Control.Rollback(ctx, t, req.GetGraph(), req.GetTo())
	})
	if err != nil {
		return nil, err
	}
	return &tandemv1.RollbackResponse{Was: was, Now: now}, nil
}

// SetCanary implements tandemv1connect.ReleaseServiceHandler.
func (h releases) SetCanary(ctx context.Context, req *tandemv1.SetCanaryRequest) (*tandemv1.SetCanaryResponse, error) {
	was, now, err := h.move(ctx, "SetCanary", func(t tenant.ID) (catalog.Moved, error) {
		return h.cfg.Control.SetCanary(ctx, t, req.GetGraph(), control.CanaryParams{
			Ref: req.GetRelease(), Percent: req.GetPercent(), Sticky: req.GetSticky(),
		})
	})
	if err != nil {
		return nil, err
	}
	return &tandemv1.SetCanaryResponse{Was: was, Now: now}, nil
}

// PromoteCanary implements tandemv1connect.ReleaseServiceHandler.
func (h releases) PromoteCanary(ctx context.Context, req *tandemv1.PromoteCanaryRequest) (*tandemv1.PromoteCanaryResponse, error) {
	was, now, err := h.move(ctx, "PromoteCanary", func(t tenant.ID) (catalog.Moved, error) {
		return h.cfg.Control.PromoteCanary(ctx, t, req.GetGraph(), int(req.GetVersion()))
	})
	if err != nil {
		return nil, err
	}
	return &tandemv1.PromoteCanaryResponse{Was: was, Now: now}, nil
}

// AbortCanary implements tandemv1connect.ReleaseServiceHandler.
func (h releases) AbortCanary(ctx context.Context, req *tandemv1.AbortCanaryRequest) (*tandemv1.AbortCanaryResponse, error) {
	was, now, err := h.move(ctx, "AbortCanary", func(t tenant.ID) (catalog.Moved, error) {
		return h.cfg.Control.AbortCanary(ctx, t, req.GetGraph())
	})
	if err != nil {
		return nil, err
	}
	return &tandemv1.AbortCanaryResponse{Was: was, Now: now}, nil
}

// move has calls of one of the caller's graphs go elsewhere, writes that to the audit log, and returns where they went before
// and where they go now.
func (h releases) move(ctx context.Context, action string, to func(tenant.ID) (catalog.Moved, error)) (was, now *tandemv1.Routing, err error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, nil, err
	}
	m, err := to(t)
	if err != nil {
		return nil, nil, err
	}
	if err := h.moved(ctx, t, action, m); err != nil {
		return nil, nil, err
	}
	return routingTo(m.Was), routingTo(m.Now), nil
}

// moved writes to the audit log where the calls of a graph go now, with the releases that the calls which were moved went to and go to.
func (h *handler) moved(ctx context.Context, t tenant.ID, action string, m catalog.Moved) error {
	was, now := movedOf(m)
	return h.changed(ctx, change{
		tenant: t, action: action, kind: "graph", name: routed(m.Now),
		before: h.digestOf(ctx, catalog.KindGraph, t, label(m.Was.Name, was)),
		after:  h.digestOf(ctx, catalog.KindGraph, t, label(m.Now.Name, now)),
	})
}

// movedOf returns the releases that the calls which were moved went to and go to: all calls when the current release is another one, else
// those of the canary, which the current one has without a canary.
func movedOf(m catalog.Moved) (was, now int) {
	if m.Was.Current != m.Now.Current {
		return m.Was.Current, m.Now.Current
	}
	return ofCanary(m.Was), ofCanary(m.Now)
}

func ofCanary(g catalog.Graph) int {
	if g.Canary == nil {
		return g.Current
	}
	return g.Canary.Version
}

// routed writes where calls go, as "ocr@3" or "ocr@3, canary @4 10%".
func routed(g catalog.Graph) string {
	if g.Canary == nil {
		return label(g.Name, g.Current)
	}
	return fmt.Sprintf("%s, canary @%d %g%%", label(g.Name, g.Current), g.Canary.Version, g.Canary.Percent)
}

// releaseTo writes a release around what graphTo wrote.
func releaseTo(rel catalog.Release, g *tandemv1.Graph, canary *catalog.Canary) *tandemv1.Release {
	out := &tandemv1.Release{Graph: g, PublishedBy: rel.By, Current: rel.Current, Staged: rel.Staged}
	if canary != nil && canary.Version == rel.Version {
		out.CanaryPercent = canary.Percent
	}
	return out
}

func routingTo(g catalog.Graph) *tandemv1.Routing {
	out := &tandemv1.Routing{Graph: g.Name, Current: int32(g.Current), Previous: int32(g.Previous)}
	if c := g.Canary; c != nil {
		out.Canary = &tandemv1.Canary{
			Version: int32(c.Version), Percent: c.Percent, Sticky: c.Sticky, StartTime: timestamppb.New(c.StartedAt),
		}
	}
	return out
}
