package engine

import (
	"fmt"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
)

// StickyKey evaluates an expression over the inputs of a graph, for whoever divides its calls. inputs are the graph's, in
// the order that e's sources count; in is the call's. It does not check their types: an input of the wrong one is an error
// like any other, for the run to explain.
func StickyKey(e *graph.Expr, inputs []graph.PlanInput, in map[string]value.Value) (any, error) {
	values := make([]any, len(e.Inputs))
	for i := range e.Inputs {
		at := e.Inputs[i].From.Index
		if at < 0 || at >= len(inputs) {
			return nil, fmt.Errorf("%s: no such input", e.Inputs[i].Name)
		}
		v, ok := in[inputs[at].Name]
		if !ok && inputs[at].Default != nil {
			v = constant(inputs[at].Default)
		}
		var err error
		if values[i], err = expressionValue(v); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Inputs[i].Name, err)
		}
	}
	return e.Eval(values)
}
