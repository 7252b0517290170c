package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
)

// shadows runs what is off the critical path: after the answer, on goroutines of its own, a bounded number of requests at
// once. What finds no room is dropped, never queued.
type shadows struct {
	limit int
	wg    sync.WaitGroup

	mu      sync.Mutex // guards the following
	tenants map[tenant.ID]int
	closed  bool
	running map[*shadowTask]struct{}
}

// shadowTask is one request's shadow that runs.
type shadowTask struct {
	tenant tenant.ID
	cut    context.CancelCauseFunc
	ended  chan struct{} // closed when it has ended
}

var (
	errShadowTime = &Error{Reason: ReasonDeadline, Text: "the shadow's time was up", Err: context.DeadlineExceeded}
	errStopping   = &Error{Reason: ReasonUnavailable, Text: "the server is stopping, or the tenant is being deleted"}
)

func newShadows(limit int) *shadows {
	return &shadows{limit: limit, tenants: map[tenant.ID]int{}, running: map[*shadowTask]struct{}{}}
}

// start runs f on a goroutine of its own, or returns false when there is no room.
func (s *shadows) start(ctx context.Context, f func(ctx context.Context)) bool {
	who, err := tenant.From(ctx)
	if err != nil {
		who = "" // a request of no tenant, as in tests
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.running) >= s.limit || s.tenants[who] >= max(1, s.limit/2) {
		cancel(nil)
		return false
	}
	one := &shadowTask{tenant: who, cut: cancel, ended: make(chan struct{})}
	s.tenants[who]++
	s.running[one] = struct{}{}
	s.wg.Go(func() {
		defer s.end(one)
		ctx, task := background.Fork(ctx)
		defer task.End()
		f(ctx)
	})
	return true
}

func (s *shadows) end(one *shadowTask) {
	one.cut(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tenants[one.tenant]--; s.tenants[one.tenant] == 0 {
		delete(s.tenants, one.tenant)
	}
	delete(s.running, one)
	close(one.ended)
}

func (s *shadows) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running)
}

// endOf ends what runs of a tenant, and waits for that, or until ctx ends and returns its error.
func (s *shadows) endOf(ctx context.Context, who tenant.ID) error {
	var own []*shadowTask
	s.mu.Lock()
	for one := range s.running {
		if one.tenant == who {
			one.cut(errStopping)
			own = append(own, one)
		}
	}
	s.mu.Unlock()
	for _, one := range own {
		select {
		case <-one.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// close starts nothing more, waits until ctx is done, then ends what runs and waits for that.
func (s *shadows) close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for one := range s.running {
			one.cut(errStopping)
		}
	})
	defer stop()
	s.wg.Wait()
}

// shadowed finds the nodes that run in this request's shadow: off the critical path, with everything that they read from
// the critical path there, and of use to somebody: they end a branch, or feed one that runs.
func (r *run) shadowed() {
	p := r.rel.Plan
	for id := range p.Nodes {
		if p.Nodes[id].Shadow {
			r.nodes[id].shadow = r.feeds(&p.Nodes[id])
		}
	}
	for id := len(p.Nodes) - 1; id >= 0; id-- {
		n := &p.Nodes[id]
		useful := n.Keep || len(n.Dependents) == 0
		for _, d := range n.Dependents {
			useful = useful || r.nodes[d].shadow
		}
		r.nodes[id].shadow = r.nodes[id].shadow && useful
		r.nodes[id].needed = r.nodes[id].needed || r.nodes[id].shadow
	}
}

// feeds reports whether everything that a node depends on runs in this request.
func (r *run) feeds(n *graph.PlanNode) bool {
	for _, d := range n.DependsOn {
		if !r.nodes[d].needed && !r.nodes[d].shadow {
			return false
		}
	}
	return true
}

// leaveShadow hands the shadow nodes on to run after the request, or gives back all memory when none will: there are none, or they
// are in a graph that runs in a shadow itself, and nothing is further off the path than that. The critical path is done and its
// outputs are gathered.
func (r *run) leaveShadow() {
	switch {
	case !r.hasShadow || r.aside:
		r.freeAll()
	case r.inner && !r.copyInputs():
		r.dropShadow()
	default:
		r.after.shadow(r)
	}
}

// copyInputs makes the inputs of a graph in another last until its shadow has run, when what the node around it reads is gone. It
// returns false when there is no room for them.
func (r *run) copyInputs() bool {
	n := sizeOf(r.inputs)
	if r.held.grow(n) != nil {
		return false
	}
	r.copied, r.inputs = n, detachAll(r.inputs)
	return true
}

// dropShadow drops a shadow for which there is no room.
func (r *run) dropShadow() {
	r.abandonShadow()
	r.eng.cfg.Meter.Shadow(r.rel.Name, "dropped")
}

// abandonShadow gives back the memory of a shadow that will not run.
func (r *run) abandonShadow() {
	r.freeAll()
	r.held.shrink(r.copied)
}

// startShadows starts what the request left to run; what finds no room is dropped.
func (r *run) startShadows(ctx context.Context) {
	for _, s := range r.after.shadows {
		if !r.startShadow(ctx, s) {
			s.dropShadow()
		}
	}
}

// startShadow starts the shadow of the request or of a graph in it, or returns false when there is no room.
func (r *run) startShadow(ctx context.Context, s *run) bool {
	held := s.held.shadow(sizeOf(s.inputs), s.shadowBytes())
	if held == nil {
		return false
	}
	done := r.retain()
	ok := r.eng.shadows.start(ctx, func(ctx context.Context) {
		defer done()
		defer held.end()
		s.runShadow(ctx, held)
	})
	if !ok {
		held.end()
		done()
	}
	return ok
}

func (r *run) shadowBytes() int64 {
	if r.eng.door.limit <= 0 {
		return 0
	}
	return r.estimate(true)
}

// runShadow runs the shadow nodes of a request that was answered, and counts what they make by held, which stays the caller's. A node
// that fails ends its own branch only.
func (r *run) runShadow(ctx context.Context, held *holding) {
	defer r.freeAll()
	ctx, stop := context.WithTimeoutCause(ctx, r.eng.cfg.ShadowTimeout, errShadowTime)
	defer stop()
	r.after, r.inShadow, r.events, r.held = &aftermath{}, true, nil, held
	r.launch(ctx, func(error) {})
	background.Rest(ctx)
	r.wg.Wait()
	outcome := "done"
	switch err := r.keepShadowRecords(ctx); {
	case errors.Is(context.Cause(ctx), errShadowTime), errors.Is(context.Cause(ctx), errStopping):
		outcome = "cut"
	case err != nil || r.failed.Load():
		outcome = "failed"
	}
	r.eng.cfg.Meter.Shadow(r.rel.Name, outcome)
}

// recordTimeout bounds the keeping of a shadow's records, also of one whose time was up.
const recordTimeout = 5 * time.Second

func (r *run) keepShadowRecords(ctx context.Context) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer stop()
	err := r.keepRecords(ctx)
	if err != nil {
		r.eng.cfg.Logger.WarnContext(ctx, "the records of a shadow are lost", slog.String("graph", r.rel.Name),
			slog.String("request_id", r.id), slog.Any("error", err))
	}
	return err
}
