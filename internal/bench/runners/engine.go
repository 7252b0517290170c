package runners

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
)

// inProcess is a graph in an engine of this process.
type inProcess struct {
	engine  *engine.Engine
	release *engine.Release
}

// environment is what the documents of this suite name: one model, and one plugin p whose function same gives back its input.
type environment struct{ signature runners.Signature }

// Model implements graph.Env.
func (e environment) Model(string) (*graph.ModelType, error) {
	return graph.ModelTypeOf(e.signature), nil
}

// Plugin implements graph.Env.
func (environment) Plugin(string) (*abi.Description, error) {
	x := abi.Port{Name: "x", Kind: "tensor", DType: "FP32"}
	return &abi.Description{Name: "p", Functions: []abi.Function{{Name: "same", Inputs: []abi.Port{x}, Outputs: []abi.Port{x}}}}, nil
}

// Graph implements graph.Env.
func (environment) Graph(string) (*graph.GraphType, error) { return nil, graph.ErrNotFound }

// same is a plugin that does nothing, at once: what is left is the engine's own work.
type same struct{}

// Call implements engine.Plugin.
func (same) Call(_ context.Context, c sandbox.Call) (*sandbox.Result, error) {
	return &sandbox.Result{Outputs: []value.Value{c.Inputs[0]}}, nil
}

// compile makes an engine with one graph; models in it run on run, which stays the caller's.
func compile(doc string, run runners.Runner) (*inProcess, error) {
	var env environment
	if run != nil {
		env.signature = run.Signature()
	}
	plan, err := graph.Check([]byte(doc), env)
	if err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, doc)
	}
	rel := &engine.Release{Name: plan.Name, Version: 1, Plan: plan, Targets: make([]engine.Target, len(plan.Nodes))}
	for i, n := range plan.Nodes {
		of := engine.Of{Label: n.Ref + "@1", Digest: n.Ref}
		switch n.Kind {
		case graph.KindModel:
			rel.Targets[i] = engine.Model(run, of)
		case graph.KindPlugin:
			rel.Targets[i] = engine.PluginFunction(same{}, of, n.Function)
		case graph.KindGraph, graph.KindSplit:
			return nil, errors.New("not in these graphs")
		}
	}
	return &inProcess{engine.New(engine.Config{}), rel}, nil
}

// call runs the graph once and lets go of the answer. It returns the trace, if there is one.
func (p *inProcess) call(ctx context.Context, in map[string]value.Value, traced bool) (*engine.Trace, error) {
	res, err := p.engine.Run(ctx, p.release, engine.Request{ID: "bench", Inputs: in, Trace: traced})
	if err != nil {
		return nil, err
	}
	res.Release()
	return res.Trace, nil
}

// values are the tensors as a graph's inputs.
func (m *model) values(rows int) map[string]value.Value {
	in := map[string]value.Value{}
	for i, t := range m.tensors(rows) {
		in[m.in[i].name] = value.Tensor(abi.DType(t.DType), t.Shape, t.Data)
	}
	return in
}
