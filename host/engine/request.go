package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// Request is one call of a graph.
type Request struct {
	// ID names the request in records and logs.
	ID string
	// Inputs by name. Their memory is read until Run returns, by the result until it is released, and by shadows until they have ended:
	// see Result.Shadowed.
	Inputs map[string]value.Value
	// Outputs wanted; nil means all.
	Outputs []string
	// Trace asks for Result.Trace.
	Trace bool
	// Events, when set, is told what happens as it happens. It is called from several goroutines at once, and what it does
	// holds the request up. There are at most two calls for each node and one for each output.
	Events func(Event)
	// Retain, when set, keeps the release open, and whoever Config.Hold counts for, while a shadow goes on after Run returned: until
	// done is called. It is called once for each shadow, before Run returns.
	Retain func() (done func())
}

// bindInputs puts the request's inputs in the plan's order. The error is Errors with all faults.
func bindInputs(rel *Release, req *Request) ([]value.Value, error) {
	var errs Errors
	in := make([]value.Value, len(rel.Plan.Inputs))
	b := graph.Bindings{}
	used := 0
	for i := range rel.Plan.Inputs {
		p := &rel.Plan.Inputs[i]
		v, ok := req.Inputs[p.Name]
		if ok {
			used++
		}
		switch {
		case ok && !v.IsZero():
			v = accept(p.Type, v)
			if m := checkValue(p.Type, v, b); m != nil {
				errs = append(errs, inputError(rel, p.Name, m.Expected, m.Found, "input "+p.Name+": "+m.Error()))
			}
		case p.Default != nil:
			v = constant(p.Default)
		case !p.Optional:
			errs = append(errs, inputError(rel, p.Name, p.Type.String(), "nothing", "input "+p.Name+" ("+p.Type.String()+") is missing"))
		}
		in[i] = v
	}
	if used < len(req.Inputs) {
		errs = append(errs, unknownInputs(rel, req)...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return in, nil
}

func unknownInputs(rel *Release, req *Request) Errors {
	var names []string
	for i := range rel.Plan.Inputs {
		names = append(names, rel.Plan.Inputs[i].Name)
	}
	var errs Errors
	for name := range req.Inputs {
		if !slices.Contains(names, name) {
			errs = append(errs, inputError(rel, name, "", name,
				fmt.Sprintf("graph %s has no input %q; it has: %s", rel.Name, name, strings.Join(names, ", "))))
		}
	}
	slices.SortFunc(errs, func(a, b *Error) int { return strings.Compare(a.Port, b.Port) })
	return errs
}

func inputError(rel *Release, port, expected, found, text string) *Error {
	return &Error{Reason: ReasonInput, Graph: rel.Name, Port: port, Expected: expected, Found: found, Text: text}
}

// accept reads opaque bytes as an image where the graph wants one: what a browser uploads often has no better type.
func accept(t graph.Type, v value.Value) value.Value {
	if t.List == 0 && t.Kind == abi.KindImage && v.Kind == abi.KindBytes {
		v.Kind = abi.KindImage
	}
	return v
}

// wanted returns for each output of the plan whether the request wants it. The error is Errors.
func wanted(rel *Release, names []string) ([]bool, error) {
	want := make([]bool, len(rel.Plan.Outputs))
	if names == nil {
		for i := range want {
			want[i] = true
		}
		return want, nil
	}
	var errs Errors
	for _, name := range names {
		i := slices.IndexFunc(rel.Plan.Outputs, func(o graph.PlanOutput) bool { return o.Name == name })
		if i < 0 {
			errs = append(errs, inputError(rel, name, "", name, fmt.Sprintf("graph %s has no output %q", rel.Name, name)))
			continue
		}
		want[i] = true
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return want, nil
}
