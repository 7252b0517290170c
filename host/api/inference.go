package api

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type inference struct{ *handler }

// Infer implements tandemv1connect.InferenceServiceHandler. The answer stands in the memory of models until it has been encoded.
func (h inference) Infer(ctx context.Context, req *tandemv1.InferRequest) (*tandemv1.InferResponse, error) {
	c := callOf(ctx)
	res, release, err := h.infer(ctx, req, nil)
	if err != nil {
		c.exchange.Done() // all that read the inputs has ended, and what failed has no shadow
		return nil, err
	}
	c.answered = res.Release
	if !res.Shadowed {
		c.exchange.Done()
	}
	out := &tandemv1.InferResponse{
		Outputs:   make(map[string]*tandemv1.Value, len(res.Outputs)),
		RequestId: requestID(ctx),
		Release:   release,
		Trace:     traceTo(res.Trace),
	}
	for name, v := range res.Outputs {
		if v.IsZero() {
			continue
		}
		c.bytesOut += v.Size()
		if out.Outputs[name], err = valueTo(v, req.GetTensorEncoding()); err != nil {
			return nil, fmt.Errorf("%w: output %s: %w", errInput, name, err)
		}
	}
	return out, nil
}

// infer runs a request and says which release answered, as name@version; the caller releases the result. tell gets
// its events and then its outputs; nil when they come together at the end.
func (h inference) infer(ctx context.Context, req *tandemv1.InferRequest, tell func(engine.Event)) (*engine.Result, string, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return nil, "", err
	}
	in, err := inputsFrom(req)
	if err != nil {
		return nil, "", err
	}
	lease, err := h.cfg.Control.Acquire(ctx, t, req.GetGraph(), control.Call{Key: req.GetStickyKey(), Inputs: in})
	if err != nil {
		return nil, "", err
	}
	defer lease.Done()
	if err := readLiterals(req, lease.Release.Plan, in); err != nil {
		return nil, "", err
	}
	// What the result stands in outlives the release.
	res, err := h.cfg.Engine.Run(ctx, lease.Release, engine.Request{
		ID: requestID(ctx), Inputs: in, Outputs: req.GetOutputs(), Trace: req.GetTrace(), Events: tell, Retain: callOf(ctx).retain(lease),
	})
	return res, fmt.Sprintf("%s@%d", lease.Release.Name, lease.Release.Version), err
}

// inputsFrom reads all inputs. The error is engine.Errors with all that are malformed.
func inputsFrom(req *tandemv1.InferRequest) (map[string]value.Value, error) {
	in := make(map[string]value.Value, len(req.GetInputs()))
	var errs engine.Errors
	for _, name := range slices.Sorted(maps.Keys(req.GetInputs())) {
		v, err := valueFrom(req.GetInputs()[name])
		if err != nil {
			errs = append(errs, badInput(req, name, err))
			continue
		}
		in[name] = v
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return in, nil
}

func badInput(req *tandemv1.InferRequest, name string, err error) *engine.Error {
	return &engine.Error{Reason: engine.ReasonInput, Graph: req.GetGraph(), Port: name, Text: fmt.Sprintf("input %s: %v", name, err), Err: err}
}

// readLiterals reads the inputs that came as they were typed, now that it is known what the graph takes. The error is
// engine.Errors with all that cannot be read.
func readLiterals(req *tandemv1.InferRequest, plan *graph.Plan, in map[string]value.Value) error {
	var errs engine.Errors
	for i := range plan.Inputs {
		p := &plan.Inputs[i]
		literal, ok := req.GetInputs()[p.Name].GetKind().(*tandemv1.Value_Literal)
		if !ok {
			continue
		}
		v, err := literalFrom(p.Type, literal.Literal)
		if err != nil {
			errs = append(errs, badInput(req, p.Name, fmt.Errorf("want %s: %w", p.Type, err)))
			continue
		}
		in[p.Name] = v
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func traceTo(t *engine.Trace) *tandemv1.Trace {
	if t == nil {
		return nil
	}
	out := &tandemv1.Trace{Total: durationpb.New(t.Total)}
	for i := range t.Nodes {
		out.Nodes = append(out.Nodes, nodeTraceTo(&t.Nodes[i]))
	}
	return out
}

func nodeTraceTo(n *engine.NodeTrace) *tandemv1.NodeTrace {
	out := &tandemv1.NodeTrace{
		Node: n.Node, Target: n.Target, Start: durationpb.New(n.Start), Waited: durationpb.New(n.Waited),
		Ran: durationpb.New(n.Ran), Total: durationpb.New(n.Total), Items: int32(n.Items), BytesCopied: n.Copied,
		Fuel: n.Fuel, Rows: int32(n.Rows), Error: n.Err, Skipped: n.Skipped, Cached: int32(n.Cached),
		Queued: durationpb.New(n.Queued), BatchRows: int32(n.BatchRows), BatchRequests: int32(n.BatchRequests), BatchClosed: n.BatchClosed,
	}
	if n.Budget > 0 {
		out.Budget = durationpb.New(n.Budget)
	}
	return out
}
