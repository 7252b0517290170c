package engine

import (
	"sync/atomic"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
)

// Result is the answer to a request. Whoever gets one calls Release.
type Result struct {
	// Outputs are where they came about: in the memory of a model's run, or in the request's inputs when the graph hands one on.
	// They are read only, and until Release.
	Outputs map[string]value.Value
	// Trace is nil unless it was asked for. It lasts.
	Trace *Trace
	// Shadowed says that a shadow may read the request's inputs after Release. Otherwise nothing does.
	Shadowed bool

	free []func()
	held *holding // nil of a graph in a graph
}

// Release gives back the memory of models under Outputs, of which nothing may be read any more, and what the request holds of the
// memory of all requests. It may be called more than once, but not from two goroutines at once.
func (r *Result) Release() {
	for _, f := range r.free {
		f()
	}
	r.free = nil
	r.held.end()
}

// answer makes the result of a request whose critical path is done. What it reads is given back when the run and the result
// both have. The outputs of a request with events went with them.
func (r *run) answer() (*Result, *Error) {
	res := &Result{Outputs: make(map[string]value.Value, len(r.want))}
	for i := range r.rel.Plan.Outputs {
		if o := &r.rel.Plan.Outputs[i]; r.want[i] && r.events == nil {
			s := r.chosen(o.From)
			if err := r.holdOutput(s, r.inner && s.Kind == graph.SourceInput); err != nil {
				res.Release()
				return nil, err
			}
			v := r.source(s)
			if r.inner && s.Kind == graph.SourceInput {
				v = detach(v) // the node around this graph lets go of its inputs before its outputs
			}
			res.Outputs[o.Name] = v
			r.keepFor(res, s)
		}
	}
	if r.tracing {
		res.Trace = r.trace()
	}
	return res, nil
}

// smallOutput is how large an output may be whose message is not counted: it lives as long as encoding it takes.
const smallOutput = 64 << 10

// holdOutput takes the memory for an output on its way out: the message in which it is sent, and a copy if there is to be one.
func (r *run) holdOutput(s graph.Source, copied bool) *Error {
	n, size := int64(0), r.source(s).Size()
	if !r.inner && size > smallOutput {
		n = size
	}
	if copied {
		n = plus(n, size)
	}
	take := r.held.send
	if r.inner {
		take = r.held.grow
	}
	if err := take(n); err != nil {
		e := classify(err)
		return &Error{Reason: e.Reason, Graph: r.rel.Name, Text: e.Text, RetryAfter: e.RetryAfter, Err: err}
	}
	return nil
}

// keepFor has res keep the memory that a source's value stands in: alone, or together with the shadow, which may read it later.
func (r *run) keepFor(res *Result, s graph.Source) {
	if s.Kind != graph.SourceNode || r.nodes[s.Index].free == nil {
		return
	}
	n := &r.nodes[s.Index]
	free := n.free
	n.free = nil
	if r.hasShadow {
		free = shared(free)
		n.free = free
	}
	res.free = append(res.free, free)
}

// shared returns what frees when it is called the second time.
func shared(free func()) func() {
	var once atomic.Bool
	return func() {
		if once.Swap(true) {
			free()
		}
	}
}

// chosen returns the source that a value comes from: of alternatives, the first that has one.
func (r *run) chosen(s graph.Source) graph.Source {
	for s.Kind == graph.SourceFirst {
		var found graph.Source
		for _, alt := range s.First {
			if !r.source(alt).IsZero() {
				found = alt
				break
			}
		}
		s = found
	}
	return s
}

// own returns what a source gives, in memory that lasts.
func (r *run) own(s graph.Source) value.Value {
	s = r.chosen(s)
	v := r.source(s)
	if s.Kind == graph.SourceNode {
		if n := &r.nodes[s.Index]; n.free != nil {
			n.given.Add(v.Size())
			return detach(v)
		}
	}
	return v
}
