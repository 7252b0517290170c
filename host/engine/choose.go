package engine

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// skips decides whether a node is skipped in this request, as PlanNode.Conditional says. Everything that it depends on
// has run or was skipped.
func (r *run) skips(p *graph.PlanNode) (bool, *Error) {
	if c := p.Chosen; c != nil {
		if s := &r.nodes[c.Node]; s.skipped || s.branch != c.Branch {
			return true, nil
		}
	}
	for i := range p.Inputs {
		from := p.Inputs[i].From
		if r.unset(from) || (from.Kind == graph.SourceFirst && r.source(from).IsZero()) {
			return true, nil
		}
	}
	if p.Split != nil && p.Split.Sticky != nil && r.unsetAny(p.Split.Sticky) {
		return true, nil
	}
	if p.When == nil {
		return false, nil
	}
	if r.unsetAny(p.When) {
		return true, nil
	}
	values, err := r.expressionInputs(p.When)
	if err != nil {
		return false, exprError("when", err)
	}
	run, err := p.When.True(values)
	if err != nil {
		return false, exprError("when", err)
	}
	return !run, nil
}

func exprError(port string, err error) *Error {
	return &Error{Reason: ReasonType, Port: port, Text: err.Error(), Err: err}
}

// unset reports whether a source is an output of a node that was skipped.
func (r *run) unset(s graph.Source) bool {
	return s.Kind == graph.SourceNode && r.nodes[s.Index].skipped
}

func (r *run) unsetAny(e *graph.Expr) bool {
	for i := range e.Inputs {
		if r.unset(e.Inputs[i].From) {
			return true
		}
	}
	return false
}

// expressionInputs returns what an expression reads.
func (r *run) expressionInputs(e *graph.Expr) ([]any, error) {
	values := make([]any, len(e.Inputs))
	for i := range e.Inputs {
		v, err := expressionValue(r.source(e.Inputs[i].From))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Inputs[i].Name, err)
		}
		values[i] = v
	}
	return values, nil
}

func expressionValue(v value.Value) (any, error) {
	switch v.Kind {
	case abi.KindNone:
		return nil, nil //nolint:nilnil // an optional input that did not come is null in CEL
	case abi.KindList:
		items := make([]any, len(v.Items))
		for i := range v.Items {
			item, err := expressionValue(v.Items[i])
			if err != nil {
				return nil, err
			}
			items[i] = item
		}
		return items, nil
	default:
		return graph.ExprValue(v.Kind, v.DType, v.Data)
	}
}

// choose draws one branch of a split: by weight, and by the sticky value's hash when there is one.
func (r *run) choose(s *graph.PlanSplit) (int, *Error) {
	total := 0
	for _, b := range s.Branches {
		total += b.Weight
	}
	at := rand.IntN(total) //nolint:gosec // traffic is divided, no secret depends on it
	if s.Sticky != nil {
		values, err := r.expressionInputs(s.Sticky)
		if err != nil {
			return 0, exprError("sticky", err)
		}
		key, err := s.Sticky.Eval(values)
		if err != nil {
			return 0, exprError("sticky", err)
		}
		at, err = Place(key, total)
		if err != nil {
			return 0, exprError("sticky", err)
		}
	}
	for i, b := range s.Branches {
		if at < b.Weight {
			return i, nil
		}
		at -= b.Weight
	}
	return len(s.Branches) - 1, nil
}

// Place maps a sticky value to 0..total-1. Equal values map to equal places on every server and at every time.
func Place(key any, total int) (int, error) {
	b, err := json.Marshal(key)
	if err != nil {
		return 0, fmt.Errorf("the value has no JSON form: %w", err)
	}
	h := fnv.New64a()
	_, _ = h.Write(b) // never fails
	x := h.Sum64()
	// FNV's low bits depend on few input bits; the finaliser of MurmurHash3 (public domain, A. Appleby) spreads them.
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return int(x % uint64(total)), nil
}
