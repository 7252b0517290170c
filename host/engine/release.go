package engine

import (
	"github.com/tandem-serve/tandem/host/graph"
)

// Release is a plan with everything that it runs loaded. It is immutable; whoever made it keeps the targets open while
// requests run.
type Release struct {
	Name    string
	Version int
	Plan    *graph.Plan
	// Digest names the document with all that it pins.
	Digest string
	// Targets has one entry for each node of the plan, in its order; nil for a split.
	Targets []Target

	floors floors
}

// needed marks the nodes on the critical path: those that the wanted outputs depend on, and those that are kept for what
// they record.
func needed(p *graph.Plan, want []bool) []bool {
	need := make([]bool, len(p.Nodes))
	for i, out := range p.Outputs {
		if want[i] {
			markSource(need, out.From)
		}
	}
	// Nodes stand in topological order, so one pass from the end reaches everything.
	for id := len(p.Nodes) - 1; id >= 0; id-- {
		if p.Nodes[id].Keep && !p.Nodes[id].Shadow {
			need[id] = true
		}
		if need[id] {
			for _, d := range p.Nodes[id].DependsOn {
				need[d] = true
			}
		}
	}
	return need
}

func markSource(need []bool, s graph.Source) {
	eachNode(s, func(id int) { need[id] = true })
}

// eachNode calls f for every node that a source names.
func eachNode(s graph.Source, f func(id int)) {
	if s.Kind == graph.SourceNode {
		f(s.Index)
	}
	for _, alt := range s.First {
		eachNode(alt, f)
	}
}
