package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// run is one request on its way through a plan.
type run struct {
	eng       *Engine
	rel       *Release
	id        string
	start     time.Time
	want      []bool
	inputs    []value.Value
	nodes     []nodeRun
	images    *imageCache
	after     *aftermath
	tracing   bool
	events    func(Event)   // nil: nobody wants them
	sent      []atomic.Bool // by output: its event was sent
	retain    func() func() // keeps the release open
	priority  int           // of the graphs around
	hasShadow bool
	inShadow  bool          // the critical path is done
	failed    atomic.Bool   // a node of the shadow failed
	aside     bool          // it is a graph in another's shadow
	held      *holding      // the request's, later the shadow's own
	copied    int64         // bytes of held: inputs that were copied to last for the shadow
	inner     bool          // it is a graph in another
	helpers   *atomic.Int64 // goroutines that run items of mapped nodes beside their nodes' own, of all graphs of the request

	wg    sync.WaitGroup
	first sync.Once
	err   *Error
}

// nodeRun is one node of the request.
type nodeRun struct {
	needed  bool
	shadow  bool          // it runs after the answer
	tail    time.Duration // what follows it takes at least
	pending atomic.Int32  // sources that have not run yet
	holders atomic.Int32  // readers that still need outs
	state   atomic.Int32  // nodeWaits, nodeRuns or nodeDone
	outs    []value.Value
	free    func() // gives back the memory under outs; nil when the collector owns it
	bytes   int64  // that the request holds because of it
	skipped bool   // the node had no reason to run
	branch  int    // what a split chose
	trace   NodeTrace
	given   atomic.Int64 // bytes copied out of it for events
}

// States of a nodeRun.
const (
	nodeWaits = iota
	nodeRuns
	nodeDone
)

func newRun(e *Engine, rel *Release, req *Request) (*run, error) {
	want, err := wanted(rel, req.Outputs)
	if err != nil {
		return nil, err
	}
	in, err := bindInputs(rel, req)
	if err != nil {
		return nil, err
	}
	r := &run{
		eng: e, rel: rel, id: req.ID, start: time.Now(), want: want, inputs: in,
		images: newImageCache(e.cfg.Images), after: &aftermath{}, tracing: req.Trace,
		helpers: new(atomic.Int64), events: req.Events, retain: req.Retain,
	}
	if r.retain == nil {
		r.retain = func() func() { return func() {} }
	}
	if r.events != nil {
		r.sent = make([]atomic.Bool, len(rel.Plan.Outputs))
	}
	r.prepare()
	return r, nil
}

// prepare counts what each needed node waits for and who reads it.
func (r *run) prepare() {
	p := r.rel.Plan
	r.nodes = make([]nodeRun, len(p.Nodes))
	for id, need := range needed(p, r.want) {
		r.nodes[id].needed = need
	}
	r.shadowed()
	for id := range r.nodes {
		n := &r.nodes[id]
		if !n.needed {
			continue
		}
		r.hasShadow = r.hasShadow || n.shadow
		n.pending.Store(int32(len(p.Nodes[id].DependsOn)))
		for _, d := range p.Nodes[id].DependsOn {
			r.nodes[d].holders.Add(1)
		}
	}
	for i := range p.Outputs {
		if s := p.Outputs[i].From; r.want[i] {
			eachNode(s, func(id int) { r.nodes[id].holders.Add(1) })
		}
	}
	r.tails()
}

// do runs the critical path and gathers the answer. What the shadow needs goes to r.after; everything else but the
// answer is given back.
func (r *run) do(ctx context.Context) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.events != nil {
		r.tellOutputs()
	}
	r.launch(ctx, cancel)
	background.Rest(ctx)
	r.wg.Wait()
	if r.err != nil {
		r.freeAll()
		return nil, r.err
	}
	res, refused := r.answer()
	if refused != nil {
		r.freeAll()
		return nil, refused
	}
	res.Shadowed = r.hasShadow
	r.leaveShadow()
	return res, nil
}

// runsNow reports whether a node belongs to what is running: the critical path, or afterwards the shadow.
func (r *run) runsNow(id int) bool {
	n := &r.nodes[id]
	if !n.needed || n.state.Load() == nodeDone {
		return false
	}
	return !n.shadow || r.inShadow
}

// launch starts every node that waits for nothing; the last one runs on the caller's goroutine.
func (r *run) launch(ctx context.Context, cancel context.CancelCauseFunc) {
	last := -1
	var ready []int // found before any starts: what those make ready starts there
	for id := range r.nodes {
		if r.runsNow(id) && r.nodes[id].pending.Load() == 0 {
			ready = append(ready, id)
		}
	}
	for _, id := range ready {
		if last >= 0 {
			r.spawn(ctx, cancel, last)
		}
		last = id
	}
	if last >= 0 {
		r.walk(ctx, cancel, last)
	}
}

func (r *run) spawn(ctx context.Context, cancel context.CancelCauseFunc, id int) {
	r.wg.Go(func() {
		ctx, task := background.Fork(ctx)
		defer task.End()
		r.walk(ctx, cancel, id)
	})
}

// walk runs a node and then, on the same goroutine, one of those that it made ready.
func (r *run) walk(ctx context.Context, cancel context.CancelCauseFunc, id int) {
	for id >= 0 {
		background.Look(ctx)
		if err := r.node(ctx, id); err != nil {
			if !r.inShadow {
				r.fail(id, err, cancel)
				return
			}
			r.failed.Store(true)
		}
		id = r.ready(ctx, cancel, id)
	}
}

// fail ends the request for its first error, and notes which nodes were ended by it.
func (r *run) fail(id int, err *Error, cancel context.CancelCauseFunc) {
	r.first.Do(func() {
		for other := range r.nodes {
			if n := &r.nodes[other]; other != id && n.state.Load() == nodeRuns {
				err.Canceled = append(err.Canceled, r.rel.Plan.Nodes[other].Name)
			}
		}
		r.err = err
		if errors.Is(err.Err, errReserved) {
			r.lowerFloors(id)
		}
		cancel(&siblingError{err})
	})
}

// ready tells the dependents of a node that it ran, starts those that wait for nothing more, and returns one of them to
// go on with, or -1.
func (r *run) ready(ctx context.Context, cancel context.CancelCauseFunc, id int) int {
	next := -1
	for _, d := range r.rel.Plan.Nodes[id].Dependents {
		if n := &r.nodes[d]; !n.needed || n.pending.Add(-1) > 0 || !r.runsNow(d) {
			continue
		}
		if next >= 0 {
			r.spawn(ctx, cancel, next)
		}
		next = d
	}
	return next
}

// node runs one node and lets go of what it read.
func (r *run) node(ctx context.Context, id int) (err *Error) {
	p := &r.rel.Plan.Nodes[id]
	n := &r.nodes[id]
	n.trace.Node, n.trace.Target, n.trace.Start = p.Name, label(r.rel.Targets[id]), time.Since(r.start)
	n.state.Store(nodeRuns)
	r.tellStart(n)
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Reason: ReasonInternal, Text: "internal error", Err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
		}
		err = r.ended(p, n, err)
	}()
	if ctx.Err() != nil {
		return classify(context.Cause(ctx))
	}
	if n.skipped, err = r.skips(p); n.skipped || err != nil {
		return err
	}
	if p.Split != nil {
		n.branch, err = r.choose(p.Split)
		return err
	}
	ctx, stop := r.withBudget(ctx, p, n)
	defer stop()
	in := make([]value.Value, len(p.Inputs))
	for i := range p.Inputs {
		in[i] = r.source(p.Inputs[i].From)
	}
	if p.Levels > 0 {
		return r.mapped(ctx, p, n, in)
	}
	return r.single(ctx, p, n, in)
}

// ended finishes a node's trace, tells of its end, and lets go of what it read. It returns the error with its place.
func (r *run) ended(p *graph.PlanNode, n *nodeRun, err *Error) *Error {
	n.trace.Total = time.Since(r.start) - n.trace.Start
	outcome := "ok"
	switch {
	case err != nil:
		err = r.place(err, p.Name)
		n.trace.Err, outcome = err.Text, err.Reason.String()
		n.skipped = r.inShadow // what depends on it is skipped, and the rest of the shadow goes on
	case n.skipped:
		n.trace.Skipped, outcome = true, "skipped"
	default:
		r.rel.floors.of(r.rel.Plan)[p.ID].note(n.trace.Total)
	}
	n.state.Store(nodeDone)
	r.eng.cfg.Meter.Node(r.rel.Name, p.Name, outcome, n.trace.Total, n.trace.Copied)
	r.tellEnd(p.ID, err != nil)
	for _, d := range p.DependsOn {
		r.letGo(d)
	}
	return err
}

// label says what a node runs; a split runs nothing.
func label(t Target) string {
	if t == nil {
		return "split"
	}
	return t.Label()
}

func (r *run) single(ctx context.Context, p *graph.PlanNode, n *nodeRun, in []value.Value) *Error {
	out, err := r.once(ctx, p, in)
	if err != nil {
		return err
	}
	n.outs, n.free, n.bytes = out.values, out.free, out.bytes
	n.trace.add(out.stats)
	return nil
}

// place fills in where an error happened, without changing one that is shared.
func (r *run) place(err *Error, node string) *Error {
	e := *err
	if e.Graph != "" {
		// It happened in a graph inside this one: the node here is the way to it.
		e.Node = node + "/" + e.Node
	} else {
		e.Node = node
	}
	e.Graph = r.rel.Name
	return &e
}

// source returns the value that a source names; the zero Value is an absent one.
func (r *run) source(s graph.Source) value.Value {
	switch s.Kind {
	case graph.SourceInput:
		return r.inputs[s.Index]
	case graph.SourceNode:
		if outs := r.nodes[s.Index].outs; s.Output < len(outs) {
			return outs[s.Output]
		}
	case graph.SourceConst:
		return constant(s.Const)
	case graph.SourceFirst:
		for _, f := range s.First {
			if v := r.source(f); !v.IsZero() {
				return v
			}
		}
	case graph.SourceNone:
	}
	return value.Value{}
}

// letGo is called once by every reader of a node; the last one frees its outputs.
func (r *run) letGo(id int) {
	n := &r.nodes[id]
	if n.holders.Add(-1) > 0 {
		return
	}
	if n.free != nil {
		n.free()
		n.free = nil
	}
	n.outs = nil
	held := r.held
	if r.inShadow && !n.shadow {
		held = held.of // it is of the critical path
	}
	held.shrink(n.bytes)
}

// freeAll frees what an error or an unread output left behind. All goroutines have ended.
func (r *run) freeAll() {
	for i := range r.nodes {
		if n := &r.nodes[i]; n.free != nil {
			n.free()
			n.free = nil
		}
	}
}

// detach copies v's data and the name of its kind.
func detach(v value.Value) value.Value {
	v.Data, v.Media = pieces.Clone(v.Data), strings.Clone(v.Media)
	v.Items = slices.Clone(v.Items)
	for i := range v.Items {
		v.Items[i] = detach(v.Items[i])
	}
	return v
}

// trace gathers the traces of the nodes that ran, by their start.
func (r *run) trace() *Trace {
	t := &Trace{Total: time.Since(r.start)}
	for i := range r.nodes {
		if r.nodes[i].trace.Node != "" {
			one := r.nodes[i].trace
			one.Copied += r.nodes[i].given.Load()
			t.Nodes = append(t.Nodes, one)
		}
	}
	slices.SortStableFunc(t.Nodes, func(a, b NodeTrace) int { return int(a.Start - b.Start) })
	return t
}
