package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type releaseCmd struct {
	List     releaseListCmd     `cmd:"" help:"List the releases of a graph, newest first, and where its calls go."`
	Show     releaseShowCmd     `cmd:"" help:"Show a release: what it runs, its tags, its document."`
	Diff     releaseDiffCmd     `cmd:"" help:"Compare two releases: their documents line by line, and what they run."`
	Rollback releaseRollbackCmd `cmd:"" help:"Send all calls to an earlier release again. Ends a canary."`
	Canary   releaseCanaryCmd   `cmd:"" help:"Send a part of the calls to another release, or change how many."`
	Promote  releasePromoteCmd  `cmd:"" help:"Send all calls to the canary."`
	Abort    releaseAbortCmd    `cmd:"" help:"End the canary: all calls go to the current release again."`
}

type releaseListCmd struct {
	output
	Graph string `arg:"" help:"Name of the graph."`
	Limit int32  `help:"Most releases to list; 0 lists all that are kept." default:"20"`
}

// Run lists the releases.
func (c *releaseListCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Releases.ListReleases(ctx, &tandemv1.ListReleasesRequest{Graph: c.Graph, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	t := e.table("RELEASE", "STATE", "TAGS", "PUBLISHED", "BY", "RUNS", "DIGEST")
	for _, r := range res.GetReleases() {
		g := r.GetGraph()
		t.row(g.GetVersion(), state(r, res.GetRouting()), dash(strings.Join(g.GetTags(), ",")), when(g.GetCreateTime()),
			dash(r.GetPublishedBy()), runs(g.GetPins()), short(g.GetDigest()))
	}
	return t.flush()
}

// state says which calls go to a release.
func state(r *tandemv1.Release, to *tandemv1.Routing) string {
	switch {
	case r.GetCurrent():
		return "current"
	case r.GetCanaryPercent() > 0:
		return fmt.Sprintf("canary %v%%", r.GetCanaryPercent())
	case r.GetStaged():
		return "staged"
	case to.GetPrevious() == r.GetGraph().GetVersion():
		return "previous"
	}
	return "-"
}

// runs counts what a release runs, by kind.
func runs(pins []*tandemv1.Pin) string {
	var parts []string
	for _, kind := range []string{"model", "plugin", "graph"} {
		n := 0
		for _, p := range pins {
			if p.GetKind() == kind {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, english.Plural(n, kind, ""))
		}
	}
	return dash(strings.Join(parts, ", "))
}

type releaseShowCmd struct {
	output
	Name string `arg:"" help:"GRAPH for the current release, GRAPH@VERSION, or GRAPH@TAG; tags are also current, previous, canary and latest."`
}

// Run shows one release.
func (c *releaseShowCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Releases.GetRelease(ctx, &tandemv1.GetReleaseRequest{Name: c.Name})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	r := res.GetRelease()
	t := e.table()
	if s := state(r, nil); s != "-" {
		t.row("state", s)
	}
	if tags := r.GetGraph().GetTags(); len(tags) > 0 {
		t.row("tags", strings.Join(tags, ", "))
	}
	if by := r.GetPublishedBy(); by != "" {
		t.row("published by", "key "+by)
	}
	if err := t.flush(); err != nil {
		return err
	}
	return showGraph(e, r.GetGraph())
}

type releaseRollbackCmd struct {
	output
	Graph   string `arg:"" help:"Name of the graph."`
	Release string `arg:"" optional:"" help:"Version or tag. Default: the newest release before the current one that has been current."`
}

// Run rolls back.
func (c *releaseRollbackCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Releases.Rollback(ctx, &tandemv1.RollbackRequest{Graph: c.Graph, To: c.Release})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	return e.moved(res.GetWas(), res.GetNow())
}

type releaseCanaryCmd struct {
	output
	Graph   string  `arg:"" help:"Name of the graph."`
	Release string  `arg:"" help:"Version or tag of a release that is not current."`
	Percent float64 `help:"Part of the calls, above 0 and at most 100." required:""`
	Sticky  string  `help:"Expression (CEL) over the graph's inputs, such as user.id: calls with an equal value go to the same release. Default: chance, or the key that a call brings." placeholder:"EXPR"`
}

// Run starts or changes a canary.
func (c *releaseCanaryCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Releases.SetCanary(ctx, &tandemv1.SetCanaryRequest{Graph: c.Graph, Release: c.Release, Percent: c.Percent, Sticky: c.Sticky})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	return e.moved(res.GetWas(), res.GetNow())
}

type releasePromoteCmd struct {
	output
	Graph   string `arg:"" help:"Name of the graph."`
	Version int32  `arg:"" optional:"" help:"The release that you take for the canary: with another one nothing happens. Default: whichever it is."`
}

// Run promotes the canary.
func (c *releasePromoteCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Releases.PromoteCanary(ctx, &tandemv1.PromoteCanaryRequest{Graph: c.Graph, Version: c.Version})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	return e.moved(res.GetWas(), res.GetNow())
}

type releaseAbortCmd struct {
	output
	Graph string `arg:"" help:"Name of the graph."`
}

// Run ends the canary.
func (c *releaseAbortCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Releases.AbortCanary(ctx, &tandemv1.AbortCanaryRequest{Graph: c.Graph})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	return e.moved(res.GetWas(), res.GetNow())
}

// moved says where calls went and where they go.
func (e *env) moved(was, now *tandemv1.Routing) error {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s: ", now.GetGraph())
	switch c := now.GetCanary(); {
	case c != nil:
		fmt.Fprintf(&b, "%v%% of the calls go to release %d, the others to %d", c.GetPercent(), c.GetVersion(), now.GetCurrent())
	case was.GetCurrent() == now.GetCurrent():
		fmt.Fprintf(&b, "all calls go to release %d", now.GetCurrent())
	default:
		fmt.Fprintf(&b, "all calls go to release %d; it was %d", now.GetCurrent(), was.GetCurrent())
	}
	if ended := was.GetCanary().GetVersion(); ended != 0 && now.GetCanary().GetVersion() != ended && now.GetCurrent() != ended {
		fmt.Fprintf(&b, "; the canary %d is ended", ended)
	}
	return e.say("%s\n", b.String())
}
