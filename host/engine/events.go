package engine

import (
	"time"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
)

// State says what became of a node.
type State uint8

// States of a node.
const (
	StateStarted State = iota + 1
	StateFinished
	StateSkipped
	StateFailed
)

// Event is one thing that happened in a request: a node started or ended, or an output is there.
type Event struct {
	// At counts from the start of the request.
	At time.Duration
	// Node is the node's name and State what became of it; Trace is what it did, nil when it only started.
	Node  string
	State State
	Trace *NodeTrace
	// Output is an output's name and Value its value, whose memory is the receiver's; set when Node is "".
	Output string
	Value  value.Value
}

// tellStart tells of a node that starts.
func (r *run) tellStart(n *nodeRun) {
	if r.events != nil {
		r.events(Event{At: n.trace.Start, Node: n.trace.Node, State: StateStarted})
	}
}

// tellEnd tells of a node that ended and of the outputs that are there now.
func (r *run) tellEnd(id int, failed bool) {
	if r.events == nil {
		return
	}
	n := &r.nodes[id]
	state := StateFinished
	switch {
	case failed:
		state = StateFailed
	case n.skipped:
		state = StateSkipped
	}
	t := n.trace
	r.events(Event{At: time.Since(r.start), Node: n.trace.Node, State: state, Trace: &t})
	if !failed {
		r.tellOutputs()
	}
}

// tellOutputs sends the outputs that are there and were not sent before.
func (r *run) tellOutputs() {
	for i := range r.rel.Plan.Outputs {
		o := &r.rel.Plan.Outputs[i]
		if !r.want[i] || !r.settled(o.From) || !r.sent[i].CompareAndSwap(false, true) {
			continue
		}
		s := r.chosen(o.From)
		if err := r.holdOutput(s, s.Kind == graph.SourceNode && r.nodes[s.Index].free != nil); err != nil {
			r.first.Do(func() { r.err = err })
			continue
		}
		if v := r.own(s); !v.IsZero() {
			r.events(Event{At: time.Since(r.start), Output: o.Name, Value: v})
		}
	}
}

// settled reports whether it is known what a source gives.
func (r *run) settled(s graph.Source) bool {
	switch s.Kind {
	case graph.SourceNode:
		return r.nodes[s.Index].state.Load() == nodeDone
	case graph.SourceFirst:
		for _, alt := range s.First {
			if !r.settled(alt) {
				return false
			}
			if !r.source(alt).IsZero() {
				return true
			}
		}
	case graph.SourceNone, graph.SourceInput, graph.SourceConst:
	}
	return true
}
