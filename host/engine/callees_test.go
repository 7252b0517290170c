package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
)

var xPort = abi.Port{Name: "x", Kind: "tensor", DType: "FP32", Shape: []abi.Dim{{Name: "b"}, {Name: "n"}}}

// orchestrating is a world with a plugin function "ask" that does with its models what f says, and passes its input on.
func orchestrating(f func(ctx context.Context, m sandbox.Models, x value.Value) (value.Value, error)) *world {
	w := texts()
	w.models["double"], w.models["other"] = double(), double()
	w.functions["ask"] = function{in: []abi.Port{xPort}, out: []abi.Port{xPort}, run: func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
		y, err := f(ctx, c.Services.Models, c.Inputs[0])
		return []value.Value{y}, err
	}}
	return w
}

func asking(keys string) string {
	return `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {y: ask.x}
nodes:
  ask: {plugin: p, call: ask, in: {x: x}` + keys + `}
`
}

func ask(t *testing.T, w *world, cfg engine.Config, keys string) (*engine.Result, error) {
	t.Helper()
	return engine.New(cfg).Run(t.Context(), w.build(t, asking(keys)), engine.Request{
		Inputs: map[string]value.Value{"x": floats([]int64{1, 2}, 1, 2)}, Trace: true,
	})
}

// runOn opens a model and runs it on one value.
func runOn(ctx context.Context, m sandbox.Models, name string, x value.Value) (value.Value, error) {
	n, err := m.Open(ctx, name)
	if err != nil {
		return value.Value{}, err
	}
	out, err := m.Run(ctx, n, []sandbox.ModelValue{{Name: "x", Value: x}})
	if err != nil {
		return value.Value{}, err
	}
	return out[0].Value, nil
}

func TestPluginRunsModels(t *testing.T) {
	for _, limit := range []int64{1 << 20, 12, 1} { // all lent, the second copied, both copied
		w := orchestrating(func(ctx context.Context, m sandbox.Models, x value.Value) (value.Value, error) {
			y, err := runOn(ctx, m, "double", x)
			if err != nil {
				return y, err
			}
			return runOn(ctx, m, "other", y)
		})
		res, err := ask(t, w, engine.Config{CallBytes: limit}, ", may_call: [double@2, other]")
		if err != nil {
			t.Fatal(err)
		}
		if got := math.Float32frombits(binary.LittleEndian.Uint32(res.Outputs["y"].Data[4:])); got != 8 {
			t.Errorf("got %v, want 8", got)
		}
		if got := res.Trace.Nodes[0].Rows; got != 1 {
			t.Errorf("the trace says that the models had %d rows, want 1", got)
		}
		res.Release()
		if n := w.models["double"].Lent() + w.models["other"].Lent(); n != 0 {
			t.Errorf("limit %d: %d outputs were never given back", limit, n)
		}
	}
}

func TestPluginMayCallOnlyWhatTheGraphGrants(t *testing.T) {
	for _, tc := range []struct {
		name, keys, model string
		want              error
	}{
		{"another model", ", may_call: [double]", "other", sandbox.ErrDenied},
		{"two versions", ", may_call: [double@1, double@2]", "double", sandbox.ErrNotFound},
		{"by the name in the list", ", may_call: [double@1, double@2]", "double@2", nil},
	} {
		w := orchestrating(func(ctx context.Context, m sandbox.Models, x value.Value) (value.Value, error) {
			_, err := m.Open(ctx, tc.model)
			if !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
			}
			return x, nil
		})
		if _, err := ask(t, w, engine.Config{}, tc.keys); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	w := orchestrating(func(_ context.Context, m sandbox.Models, x value.Value) (value.Value, error) {
		if m != nil {
			t.Error("a node without may_call was given models")
		}
		return x, nil
	})
	if _, err := ask(t, w, engine.Config{}, ""); err != nil {
		t.Error(err)
	}
}

func TestPluginGivesAModelWhatItDoesNotTake(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   func(x value.Value) []sandbox.ModelValue
		want string
	}{
		{"no such input", func(x value.Value) []sandbox.ModelValue { return []sandbox.ModelValue{{Name: "z", Value: x}} }, "it has no input z"},
		{"too many", func(x value.Value) []sandbox.ModelValue { return []sandbox.ModelValue{{Value: x}, {Value: x}} }, "it has no input number 1"},
		{"twice", func(x value.Value) []sandbox.ModelValue {
			return []sandbox.ModelValue{{Value: x}, {Name: "x", Value: x}}
		}, "input x is given twice"},
		{"missing", func(value.Value) []sandbox.ModelValue { return nil }, "input x is missing"},
		{"text", func(value.Value) []sandbox.ModelValue { return []sandbox.ModelValue{{Value: value.Text("a")}} }, "input x is text, not a tensor"},
	} {
		w := orchestrating(func(ctx context.Context, m sandbox.Models, x value.Value) (value.Value, error) {
			n, err := m.Open(ctx, "double")
			if err != nil {
				return x, err
			}
			_, err = m.Run(ctx, n, tc.in(x))
			if !errors.Is(err, runners.ErrShape) || !strings.Contains(err.Error(), "model double@1: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
			}
			return x, guestError("ask", "the model said no")
		})
		_, err := ask(t, w, engine.Config{}, ", may_call: [double]")
		var e *engine.Error
		if !errors.As(err, &e) || e.Reason != engine.ReasonPlugin || !strings.Contains(e.Text, tc.want) {
			t.Errorf("%s: the request says %v, want the model's own words too", tc.name, err)
		}
	}
}

func TestPriorityReachesTheBatcher(t *testing.T) {
	order := make(chan float32, 8)
	hold := make(chan struct{})
	inner := fake.New(fake.Script{
		Signature: double().Signature(),
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			order <- math.Float32frombits(binary.LittleEndian.Uint32(in[0].Data))
			<-hold
			return []runners.Tensor{{DType: runners.FP32, Shape: in[0].Shape, Data: make([]byte, len(in[0].Data))}}, nil
		},
	})
	b := batch.New(inner, batch.Config{MaxRows: 1})
	w := texts()
	w.models["double"] = double()
	e := engine.New(engine.Config{})
	start := func(priority string, x float32) chan error {
		rel := w.build(t, "graph: g\ninputs: {x: \"tensor FP32 [1, n]\"}\noutputs: {y: m.y}\nnodes:\n  m: {model: double, in: {x: x}"+priority+"}\n")
		rel.Targets[0] = engine.Model(b, engine.Of{Label: "double@1"})
		done := make(chan error, 1)
		waiting := b.Stats().Waiting
		go func() {
			_, err := e.Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"x": floats([]int64{1, 1}, x)}})
			done <- err
		}()
		if x > 1 {
			for b.Stats().Waiting == waiting {
				select {
				case err := <-done:
					t.Fatalf("ended early: %v", err)
				default:
				}
			}
		}
		return done
	}
	dones := []chan error{start("", 1)}
	<-order // it runs; the others wait
	for i, p := range []string{", priority: -5", "", ", priority: 3", ", priority: 9"} {
		dones = append(dones, start(p, float32(i+2)))
	}
	close(hold)
	for _, d := range dones {
		if err := <-d; err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []float32{5, 4, 3, 2} {
		if got := <-order; got != want {
			t.Errorf("got request %v, want %v", got, want)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
