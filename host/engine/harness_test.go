package engine_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// function is one scripted function of the test plugin "p".
type function struct {
	in, out []abi.Port
	run     func(ctx context.Context, c sandbox.Call) ([]value.Value, error)
}

// world is what the graphs of the tests may name: one plugin "p" with the functions given, models by name, graphs that
// were built before.
type world struct {
	functions map[string]function
	models    map[string]*fake.Runner
	graphs    map[string]*engine.Release
}

func (w *world) Model(ref string) (*graph.ModelType, error) {
	name, _, _ := strings.Cut(ref, "@")
	m, ok := w.models[name]
	if !ok {
		return nil, graph.ErrNotFound
	}
	return graph.ModelTypeOf(m.Signature()), nil
}

func (w *world) Plugin(ref string) (*abi.Description, error) {
	if ref != "p" {
		return nil, graph.ErrNotFound
	}
	d := &abi.Description{Name: "p"}
	for name, f := range w.functions {
		d.Functions = append(d.Functions, abi.Function{Name: name, Inputs: f.in, Outputs: f.out})
	}
	return d, nil
}

func (w *world) Graph(ref string) (*graph.GraphType, error) {
	rel, ok := w.graphs[ref]
	if !ok {
		return nil, graph.ErrNotFound
	}
	t := &graph.GraphType{}
	for _, in := range rel.Plan.Inputs {
		t.Inputs = append(t.Inputs, graph.Port{Name: in.Name, Type: in.Type, Optional: in.Optional})
	}
	for _, out := range rel.Plan.Outputs {
		t.Outputs = append(t.Outputs, graph.Port{Name: out.Name, Type: out.Type})
	}
	return t, nil
}

// Call implements engine.Plugin.
func (w *world) Call(ctx context.Context, c sandbox.Call) (*sandbox.Result, error) {
	out, err := w.functions[c.Function].run(ctx, c)
	if err != nil {
		return nil, err
	}
	res := &sandbox.Result{Outputs: make([]value.Value, len(out))}
	for i := range out {
		res.Outputs[i] = copied(out[i])
	}
	res.Free = func() {
		for i := range res.Outputs {
			spoil(&res.Outputs[i])
		}
	}
	return res, nil
}

// copied returns a value in memory of its own.
func copied(v value.Value) value.Value {
	v.Data = slices.Clone(v.Data)
	v.Items = slices.Clone(v.Items)
	for i := range v.Items {
		v.Items[i] = copied(v.Items[i])
	}
	return v
}

// spoil overwrites a value, as whoever gets its memory next would.
func spoil(v *value.Value) {
	for i := range v.Data {
		v.Data[i] = '#'
	}
	for i := range v.Items {
		spoil(&v.Items[i])
	}
}

// build compiles a graph over the world.
func (w *world) build(t *testing.T, doc string) *engine.Release {
	t.Helper()
	plan, err := graph.Check([]byte(doc), w)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	return w.release(plan)
}

// release gives a plan its targets.
func (w *world) release(plan *graph.Plan) *engine.Release {
	rel := &engine.Release{Name: plan.Name, Version: 1, Plan: plan, Targets: make([]engine.Target, len(plan.Nodes))}
	for i, n := range plan.Nodes {
		switch n.Kind {
		case graph.KindModel:
			rel.Targets[i] = engine.Model(w.models[n.Ref], engine.Of{Label: n.Ref + "@1", Digest: n.Ref})
		case graph.KindPlugin:
			rel.Targets[i] = engine.PluginFunction(w, engine.Of{Label: n.Ref + "@1", Digest: n.Ref}, n.Function, w.callees(n.MayCall)...)
		case graph.KindGraph:
			rel.Targets[i] = engine.Graph(w.graphs[n.Ref])
		case graph.KindSplit:
		}
	}
	return rel
}

func (w *world) callees(refs []string) []engine.Callee {
	var out []engine.Callee
	for _, ref := range refs {
		name, _, _ := strings.Cut(ref, "@")
		out = append(out, engine.Callee{Ref: ref, Of: engine.Of{Label: name + "@1", Digest: name}, Runner: w.models[name]})
	}
	return out
}

var textPort = func(name string) abi.Port { return abi.Port{Name: name, Kind: "text"} }

// texts is a world of functions over text.
func texts() *world {
	one := func(in, out string, f func(string) (string, error)) function {
		return function{
			in: []abi.Port{textPort(in)}, out: []abi.Port{textPort(out)},
			run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
				s, err := f(string(c.Inputs[0].Data))
				return []value.Value{value.Text(s)}, err
			},
		}
	}
	w := &world{models: map[string]*fake.Runner{}, graphs: map[string]*engine.Release{}}
	w.functions = map[string]function{
		"upper": one("s", "s", func(s string) (string, error) { return strings.ToUpper(s), nil }),
		"echo":  one("s", "s", func(s string) (string, error) { return s, nil }),
		"fail":  one("s", "s", func(s string) (string, error) { return "", guestError("fail", "no "+s) }),
		"odd": one("s", "s", func(s string) (string, error) {
			if len(s)%2 == 0 {
				return "", guestError("odd", "even: "+s)
			}
			return s, nil
		}),
		"join": {
			in: []abi.Port{textPort("a"), {Name: "b", Kind: "text", Optional: true}}, out: []abi.Port{textPort("s")},
			run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
				return []value.Value{value.Text(string(c.Inputs[0].Data) + "+" + string(c.Inputs[1].Data))}, nil
			},
		},
		"words": {
			in: []abi.Port{textPort("s")}, out: []abi.Port{{Name: "words", Kind: "text", List: true}},
			run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
				return []value.Value{textList(strings.Fields(string(c.Inputs[0].Data))...)}, nil
			},
		},
		"count": {
			in: []abi.Port{{Name: "list", Kind: "text", List: true}}, out: []abi.Port{textPort("n")},
			run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
				var items []string
				for _, v := range c.Inputs[0].Items {
					items = append(items, string(v.Data))
				}
				return []value.Value{value.Text(fmt.Sprintf("%d %s", len(items), strings.Join(items, ",")))}, nil
			},
		},
		"hang": {
			in: []abi.Port{textPort("s")}, out: []abi.Port{textPort("s")},
			run: func(ctx context.Context, _ sandbox.Call) ([]value.Value, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		},
		"panic": one("s", "s", func(string) (string, error) { panic("boom") }),
		"note": {
			in: []abi.Port{textPort("s")}, out: []abi.Port{textPort("s")},
			run: func(ctx context.Context, c sandbox.Call) ([]value.Value, error) {
				err := c.Services.Record(ctx, "notes", []byte(`{"s":"`+string(c.Inputs[0].Data)+`"}`))
				return []value.Value{c.Inputs[0]}, err
			},
		},
		"pixels": {
			in: []abi.Port{{Name: "image", Kind: "tensor", DType: "UINT8", Shape: []abi.Dim{{Name: "h"}, {Name: "w"}, {Size: 3}}}}, out: []abi.Port{textPort("s")},
			run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
				return []value.Value{value.Text(value.ShapeString(c.Inputs[0].Shape) + fmt.Sprint(len(c.Inputs[0].Data)))}, nil
			},
		},
	}
	return w
}

func textList(ss ...string) value.Value {
	items := make([]value.Value, len(ss))
	for i, s := range ss {
		items[i] = value.Text(s)
	}
	return value.List(items)
}

func guestError(fn, text string) error {
	return &sandbox.CallError{Plugin: "p", Function: fn, Kind: sandbox.KindGuest, Text: text}
}

// double is a model: x FP32 [batch, n] -> y = 2x.
func double() *fake.Runner { return fake.New(doubling()) }

func doubling() fake.Script {
	dims := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1, Name: "n"}}
	return fake.Script{
		Signature: runners.Signature{
			Inputs:  []runners.Port{{Name: "x", DType: runners.FP32, Dims: dims}},
			Outputs: []runners.Port{{Name: "y", DType: runners.FP32, Dims: dims}},
		},
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			out := make([]byte, len(in[0].Data))
			for i := 0; i < len(out); i += 4 {
				f := math.Float32frombits(binary.LittleEndian.Uint32(in[0].Data[i:]))
				binary.LittleEndian.PutUint32(out[i:], math.Float32bits(2*f))
			}
			return []runners.Tensor{{DType: runners.FP32, Shape: in[0].Shape, Data: out}}, nil
		},
	}
}

func floats(shape []int64, fs ...float32) value.Value {
	var data []byte
	for _, f := range fs {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return value.Tensor(abi.FP32, shape, data)
}

// recorder keeps records in memory.
type recorder struct {
	mu  sync.Mutex
	rs  []engine.Record
	err error
}

func (r *recorder) Record(_ context.Context, rs []engine.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.rs = append(r.rs, rs...)
	}
	return r.err
}
