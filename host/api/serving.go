package api

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/control"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners/batch"
)

// servingFrom converts the options of a model.
func servingFrom(o *tandemv1.ModelOptions) control.Serving {
	s := control.Serving{
		MaxRows: int(o.GetMaxRows()), MaxDelay: o.GetMaxDelay().AsDuration(), MaxQueueRows: int(o.GetMaxQueueRows()),
		Threads: int(o.GetThreads()), Concurrency: int(o.GetConcurrency()), Instances: int(o.GetInstances()), Spin: o.GetSpin(),
		Providers: o.GetProviders(),
		Buckets:   o.GetBuckets(), MemoryBytes: o.GetMemoryBytes(),
	}
	for _, p := range o.GetPad() {
		s.Pad = append(s.Pad, batch.Pad{Input: p.GetInput(), Axis: int(p.GetAxis()), Value: p.GetValue()})
	}
	for _, w := range o.GetWarm() {
		s.Warm = append(s.Warm, control.WarmInput{Input: w.GetInput(), Shape: w.GetShape(), Value: w.GetValue()})
	}
	return s
}

// servingTo converts them back; nil when nothing is asked for.
func servingTo(s *control.Serving) *tandemv1.ModelOptions {
	o := &tandemv1.ModelOptions{
		MaxRows: int32(s.MaxRows), MaxQueueRows: int32(s.MaxQueueRows), Threads: int32(s.Threads), Concurrency: int32(s.Concurrency),
		Instances: int32(s.Instances), Spin: s.Spin, Providers: s.Providers, Buckets: s.Buckets, MemoryBytes: s.MemoryBytes,
	}
	if s.MaxDelay > 0 {
		o.MaxDelay = durationpb.New(s.MaxDelay)
	}
	for _, p := range s.Pad {
		o.Pad = append(o.Pad, &tandemv1.Padding{Input: p.Input, Axis: int32(p.Axis), Value: p.Value})
	}
	for _, w := range s.Warm {
		o.Warm = append(o.Warm, &tandemv1.WarmInput{Input: w.Input, Shape: w.Shape, Value: w.Value})
	}
	if proto.Size(o) == 0 {
		return nil
	}
	return o
}

// learnedTo converts what was learned of running times, by shape.
func learnedTo(c *batch.Cost) []*tandemv1.LearnedCost {
	var out []*tandemv1.LearnedCost
	for _, l := range c.ByShape() {
		out = append(out, &tandemv1.LearnedCost{Shape: l.Shape, Base: durationpb.New(l.Base), PerRow: durationpb.New(l.PerRow), Runs: l.Runs})
	}
	slices.SortFunc(out, func(a, b *tandemv1.LearnedCost) int { return cmp.Compare(a.GetShape(), b.GetShape()) })
	return out
}

// planTo converts the resource plan.
func planTo(s *control.PlanState) *tandemv1.GetPlanResponse {
	out := &tandemv1.GetPlanResponse{
		Cores: s.Machine.Cores, CoresSource: s.Machine.Source, MostRuns: int32(s.Runs), MostThreads: int32(s.Threads), MostSharedRuns: int32(s.SharedRuns),
		MemoryBytes: s.MemoryBytes, MemoryBudgetBytes: s.MemoryBudget, OtherModels: int32(s.Others), MadeFor: s.Why, MadeTime: timestamppb.New(s.At),
	}
	for i := range s.Models {
		out.Models = append(out.Models, plannedTo(&s.Models[i]))
	}
	return out
}

func plannedTo(p *control.PlannedModel) *tandemv1.PlannedModel {
	m := &tandemv1.PlannedModel{
		Model: p.Label, Loaded: p.Loaded, MemoryBytes: p.MemoryBytes, NotBatched: p.Apart, Running: int32(p.Stats.Running),
		Waiting: int32(p.Stats.Waiting), Runs: p.Stats.Runs, Rows: p.Stats.Rows, Loads: int32(p.Loads),
	}
	if s := p.Share; s != nil {
		m.Device, m.Cores, m.Threads, m.OwnThreads, m.Spin = s.Device, s.Cores, int32(s.Threads), s.OwnPool, s.Spin
		m.GuaranteedRuns, m.MostRuns, m.Instances, m.MaxRows = int32(s.Guaranteed), int32(s.Concurrency), int32(s.Instances), int32(s.MaxRows)
		m.Why = &tandemv1.PlanReasons{
			Cores: s.Why.Cores, Threads: s.Why.Threads, Spin: s.Why.Spin, Runs: s.Why.Concurrency, Instances: s.Why.Instances, MaxRows: s.Why.MaxRows,
		}
	}
	return m
}
