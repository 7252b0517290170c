package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/plan"
)

// ModelState is how a model version stands on this server.
type ModelState struct {
	// Loaded tells whether it is in memory.
	Loaded bool
	// Loads is how often it was loaded since a release needed it.
	Loads int
	// MemoryBytes is what it takes in memory, or took when it was loaded last; 0: not known.
	MemoryBytes int64
	// Placement is where it runs, as it is loaded now, else where it ran when it was pushed. "": not known.
	Placement string
	// WarmUp is why it could not be warmed; "" when it was.
	WarmUp string
	// Apart is why requests do not share runs; "" when they do.
	Apart string
	// Serving is what its owner asked for.
	Serving Serving
	// Cost is what was learned of its running times, Measured what its warm-up saw.
	Cost     batch.Cost
	Measured plan.Measured
	// Share is what the plan gives it; nil while it is not loaded.
	Share *plan.Share
	// Stats count what its batcher did since it was loaded.
	Stats batch.Stats
}

// ModelState returns how a model stands on this server.
func (m *Manager) ModelState(ctx context.Context, mod catalog.Model) ModelState {
	key := keyOfModel(mod)
	if r, ok := m.models.peek(key); ok {
		return r.state()
	}
	known := m.life.memory.read(ctx, key)
	s := ModelState{
		Placement: mod.Meta[MetaPlacement], WarmUp: mod.Meta[MetaWarmUp], Cost: known.Cost, Measured: known.Measured,
		MemoryBytes: known.MemoryBytes,
	}
	s.Serving, _ = servingOf(mod) // options that cannot be read are none
	if sig, err := Signature(mod); err == nil {
		s.Apart = batch.Apart(sig)
	}
	if s.Apart == "" && s.Serving.MaxRows == 1 {
		s.Apart = "its most rows are 1"
	}
	return s
}

// state returns how the model stands.
func (r *resident) state() ModelState {
	memory := r.life.shelf.holds(r)
	share := r.life.shares.of(r)
	r.mu.Lock()
	l := r.current
	s := ModelState{
		Loaded: l != nil, Loads: r.loads, MemoryBytes: cmp.Or(memory, r.known.MemoryBytes), Placement: r.info.Placement, WarmUp: r.note,
		Serving: r.serving, Cost: r.known.Cost, Measured: r.known.Measured, Apart: batch.Apart(r.signature), Share: share,
	}
	r.mu.Unlock()
	if l != nil {
		s.Apart, s.Cost, s.Stats = l.batcher.Apart(), l.batcher.Cost(), l.batcher.Stats()
	}
	return s
}

// PlanState is the resource plan, as a caller may see it.
type PlanState struct {
	Machine plan.Machine
	// Models are the tenant's that the caller sees, in the order in which they came; Others counts those of other tenants that are
	// loaded.
	Models []PlannedModel
	Others int
	// Threads and Runs bound the threads that work for models at once, and the runs among them, all tenants together.
	Threads, Runs int
	// SharedRuns bounds the runs while several tenants' models are called.
	SharedRuns int
	// MemoryBytes is what all models take, of MemoryBudget; 0: there is no budget.
	MemoryBytes, MemoryBudget int64
	// Why and At say what the plan was made for last.
	Why string
	At  time.Time
}

// PlannedModel is a model in the plan.
type PlannedModel struct {
	Label string
	ModelState
}

// PlanState returns the plan, with the tenant's models that are within a scope.
func (m *Manager) PlanState(t tenant.ID, within Scope) PlanState {
	sees := func(of tenant.ID, label string) bool {
		name, _ := split(label)
		return of == t && within.Sees(catalog.KindModel, name)
	}
	s := PlanState{MemoryBytes: m.life.shelf.holding(), MemoryBudget: m.life.shelf.budget}
	now, why := m.life.shares.plan()
	s.Machine, s.Threads, s.Runs, s.Why, s.At = now.Machine, now.Threads(), now.Runs(), why.text(), why.at
	s.SharedRuns = now.SharedRuns()
	for i := range now.Shares {
		if now.Shares[i].Tenant != string(t) {
			s.Others++
		}
	}
	for _, r := range m.life.residents() {
		if sees(r.key.tenant, r.label) {
			s.Models = append(s.Models, PlannedModel{r.label, r.state()})
		}
	}
	switch {
	case why.tenant == "" || sees(why.tenant, why.model):
	case why.tenant == t:
		s.Why = "another model of the tenant came or went"
	default:
		s.Why = "a model of another tenant came or went"
	}
	slices.SortFunc(s.Models, func(a, b PlannedModel) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.Label, b.Label))
	})
	return s
}

// order puts models that are not loaded last.
func order(p PlannedModel) uint64 {
	if p.Share == nil {
		return 1 << 63
	}
	return p.Share.Order
}

// PlanTotals are figures of all tenants' models together.
type PlanTotals struct {
	MemoryBytes     int64
	Loaded, Running int
}

// PlanTotals returns what all models together take.
func (m *Manager) PlanTotals() PlanTotals {
	now, _ := m.life.shares.plan()
	return PlanTotals{MemoryBytes: m.life.shelf.holding(), Loaded: len(now.Shares), Running: m.life.shares.gate.Running(plan.CPU)}
}
