package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// TestResultStandsInTheModelsMemory: outputs are not copied out of it, are good until Release, and nothing is held after it. The
// fake runner spoils what was released.
func TestResultStandsInTheModelsMemory(t *testing.T) {
	const x = "inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}\n"
	w := texts()
	w.models["double"] = double()
	tensor := abi.Port{Name: "x", Kind: "tensor", DType: "FP32"}
	w.functions["note32"] = function{in: []abi.Port{tensor}, out: []abi.Port{tensor}, run: func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
		return []value.Value{c.Inputs[0]}, c.Services.Record(ctx, "notes", []byte("{}"))
	}}
	for name, doc := range map[string]string{
		"inner": "graph: inner\n" + x + "outputs: {y: {from: a.y}, z: {from: a.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n",
		"hand":  "graph: hand\n" + x + "outputs: {y: {from: x}, z: {from: a.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n",
	} {
		w.graphs[name] = w.build(t, doc)
	}
	for name, c := range map[string]struct {
		nodes string
		y, z  float32
		held  int
	}{
		"one node":                   {"outputs: {y: {from: a.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n", 2, 0, 1},
		"one node for two outputs":   {"outputs: {y: {from: a.y}, z: {from: a.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n", 2, 2, 1},
		"a node that another reads":  {"outputs: {y: {from: a.y}, z: {from: b.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n  b: {model: double, in: {x: a.y}}\n", 2, 4, 2},
		"only the last of two":       {"outputs: {z: {from: b.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n  b: {model: double, in: {x: a.y}}\n", 0, 4, 1},
		"a graph inside":             {"outputs: {y: {from: g.y}, z: {from: g.z}}\nnodes:\n  g: {graph: inner, in: {x: x}}\n", 2, 2, 1},
		"a graph that hands on":      {"outputs: {y: {from: g.y}, z: {from: g.z}}\nnodes:\n  a: {model: double, in: {x: x}}\n  g: {graph: hand, in: {x: a.y}}\n", 2, 4, 1},
		"a shadow that reads it too": {"outputs: {y: {from: a.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n  s: {model: double, in: {x: a.y}, shadow: true}\n", 2, 0, -1},
	} {
		t.Run(name, func(t *testing.T) {
			rel := w.build(t, "graph: g\n"+x+c.nodes)
			e := engine.New(engine.Config{})
			res, err := e.Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"x": floats([]int64{1, 1}, 1)}})
			if err != nil {
				t.Fatal(err)
			}
			e.Close(t.Context()) // its shadows have ended
			if got := w.models["double"].Lent(); c.held >= 0 && got != c.held || got == 0 {
				t.Errorf("the answer holds %d outputs of models, want %d", got, c.held)
			}
			for name, want := range map[string]float32{"y": c.y, "z": c.z} {
				if got, ok := res.Outputs[name]; ok && string(got.Data) != string(floats(nil, want).Data) {
					t.Errorf("%s: got % x, want %v", name, got.Data, want)
				}
			}
			res.Release()
			res.Release()
			if got := w.models["double"].Lent(); got != 0 {
				t.Errorf("%d outputs of models are held after Release", got)
			}
		})
	}
	t.Run("records that cannot be kept", func(t *testing.T) {
		rel := w.build(t, "graph: g\n"+x+"outputs: {y: {from: a.y}}\nnodes:\n  a: {model: double, in: {x: x}}\n  n: {plugin: p, call: note32, in: {x: a.y}, keep: true}\n")
		e := engine.New(engine.Config{Records: &recorder{err: errors.New("full")}})
		if _, err := e.Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"x": floats([]int64{1, 1}, 1)}}); err == nil {
			t.Error("got no error")
		}
		if got := w.models["double"].Lent(); got != 0 {
			t.Errorf("%d outputs of models are held by a request that failed", got)
		}
	})
}
