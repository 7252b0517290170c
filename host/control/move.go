package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Rollback makes a release current again for all calls, and ends a canary. ref is a version, a tag or a digest; "" is the
// newest release before the current one that has been current itself. The release is loaded first; one that fails to load
// changes nothing, and the error is a *StageError.
func (m *Manager) Rollback(ctx context.Context, t tenant.ID, name, ref string) (catalog.Moved, error) {
	version := 0 // the catalog's to say, at the moment of the move
	if ref == "" {
		ref = catalog.Previous
	} else {
		rel, err := m.cfg.Catalog.GetGraph(ctx, t, name, ref)
		if err != nil {
			return catalog.Moved{}, err
		}
		version = rel.Version
	}
	g := graphKey{t, name}
	m.forget(g) // it may have moved on a moment ago, elsewhere
	lease, _, err := m.acquire(ctx, g, ref)
	if err != nil {
		return catalog.Moved{}, inStage(StageLoad, err)
	}
	defer lease.Done()
	moved, err := m.cfg.Catalog.ActivateGraph(ctx, t, name, version)
	if err != nil {
		return catalog.Moved{}, inStage(StageFlip, err)
	}
	m.moved(t, moved.Now)
	return moved, nil
}

// CanaryParams starts or changes a canary.
type CanaryParams struct {
	// Ref is a version, a tag or a digest of a release that is not the current one.
	Ref string
	// Percent of the calls, above 0 and at most 100.
	Percent float64
	// Sticky is an expression over the graph's inputs; calls with an equal value go to the same release. "" draws for each.
	Sticky string
}

// SetCanary gives a part of a graph's calls to another release, once that is loaded, or changes how much. The release must
// take what the current one takes and give what it gives.
func (m *Manager) SetCanary(ctx context.Context, t tenant.ID, name string, p CanaryParams) (catalog.Moved, error) {
	g := graphKey{t, name}
	since := m.now(g)
	rel, err := m.cfg.Catalog.GetGraph(ctx, t, name, p.Ref)
	if err != nil {
		return catalog.Moved{}, err
	}
	state, err := m.cfg.Catalog.DescribeGraph(ctx, t, name)
	if err != nil {
		return catalog.Moved{}, err
	}
	current, err := m.lease(ctx, g, state.Current, since)
	if err != nil {
		return catalog.Moved{}, inStage(StageLoad, err)
	}
	defer current.Done()
	canary, err := m.lease(ctx, g, rel.Version, since)
	if err != nil {
		return catalog.Moved{}, inStage(StageLoad, err)
	}
	defer canary.Done()
	if err := checkCanary(current.Release.Plan, canary.Release.Plan, p.Sticky); err != nil {
		return catalog.Moved{}, fmt.Errorf("%w: graph %s@%d as a canary of %d: %w", catalog.ErrInvalid, name, rel.Version, state.Current, err)
	}
	moved, err := m.cfg.Catalog.SetCanary(ctx, t, name, catalog.CanaryParams{
		Version: rel.Version, Percent: p.Percent, Sticky: p.Sticky, Base: state.Current,
	})
	if err != nil {
		return catalog.Moved{}, inStage(StageFlip, err)
	}
	m.moved(t, moved.Now)
	return moved, nil
}

// checkCanary reports why calls of one graph cannot go to another.
func checkCanary(current, canary *graph.Plan, sticky string) error {
	takes, gives := map[string]bool{}, map[string]bool{}
	for i := range canary.Inputs {
		takes[canary.Inputs[i].Name] = true
	}
	for i := range canary.Outputs {
		gives[canary.Outputs[i].Name] = true
	}
	var lacks []string
	for i := range current.Inputs {
		in := &current.Inputs[i]
		if !takes[in.Name] {
			lacks = append(lacks, "it has no input "+in.Name)
		}
		delete(takes, in.Name)
	}
	for i := range canary.Inputs {
		if in := &canary.Inputs[i]; takes[in.Name] && !in.Optional && in.Default == nil {
			lacks = append(lacks, "it wants one more input, "+in.Name)
		}
	}
	for i := range current.Outputs {
		if out := &current.Outputs[i]; !gives[out.Name] && !out.Optional {
			lacks = append(lacks, "it has no output "+out.Name)
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("callers would notice: %s", strings.Join(lacks, ", "))
	}
	if sticky == "" {
		return nil
	}
	_, err := graph.CompileSticky(sticky, current.Inputs)
	return err
}

// PromoteCanary makes the canary the current release for all calls, once it is loaded here. Version, unless it is 0, says
// which one the caller means.
func (m *Manager) PromoteCanary(ctx context.Context, t tenant.ID, name string, version int) (catalog.Moved, error) {
	g := graphKey{t, name}
	m.forget(g) // it may have moved on a moment ago, elsewhere
	lease, _, err := m.acquire(ctx, g, catalog.CanaryTag)
	if err != nil {
		return catalog.Moved{}, inStage(StageLoad, err)
	}
	defer lease.Done()
	moved, err := m.cfg.Catalog.PromoteCanary(ctx, t, name, version)
	if err != nil {
		return catalog.Moved{}, inStage(StageFlip, err)
	}
	m.moved(t, moved.Now)
	return moved, nil
}

// AbortCanary gives all calls to the current release again.
func (m *Manager) AbortCanary(ctx context.Context, t tenant.ID, name string) (catalog.Moved, error) {
	moved, err := m.cfg.Catalog.AbortCanary(ctx, t, name)
	if err != nil {
		return catalog.Moved{}, err
	}
	m.moved(t, moved.Now)
	return moved, nil
}
