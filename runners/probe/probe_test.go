package probe_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/madeup"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/runners/probe"
)

// linear is y = x + x over rows of an open length.
func linear() onnxtest.Model {
	open := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1}}
	return onnxtest.Model{Producer: "by hand", Graph: onnxtest.Graph{
		Nodes:   []onnxtest.Node{{Op: "Add", In: []string{"x", "x"}, Out: []string{"y"}}},
		Inputs:  []onnxtest.Value{{Name: "x", DType: runners.FP32, Dims: open}},
		Outputs: []onnxtest.Value{{Name: "y", DType: runners.FP32, Dims: open}},
	}}
}

func TestRead(t *testing.T) {
	r := probe.Read(linear().Bytes(), onnx.Limits{})
	if len(r.Faults) > 0 || r.NotBatched != "" || r.Producer != "by hand" || r.Operators["Add"] != 1 || r.Opsets["ai.onnx"] != onnxtest.Opset {
		t.Errorf("got %+v", r)
	}
	if len(r.Inputs) != 1 || r.Inputs[0].Type != "tensor FP32 [batch,?]" || !slices.Equal(r.Inputs[0].Dynamic, []string{"batch", "1"}) {
		t.Errorf("got inputs %+v", r.Inputs)
	}
	m := linear()
	m.Graph.Inputs[0].Dims[0] = runners.Dim{Size: 1}
	if r := probe.Read(m.Bytes(), onnx.Limits{}); !strings.Contains(r.NotBatched, "fixed size 1") {
		t.Errorf("got %q", r.NotBatched)
	}
}

// TestReadFaults wants every reason as a fault of its own.
func TestReadFaults(t *testing.T) {
	m := linear()
	m.Graph.Nodes = append(m.Graph.Nodes, onnxtest.Node{Op: "Secret", Domain: "com.example", Out: []string{"z"}})
	m.Graph.Inits = []onnxtest.Tensor{{Name: "w", DType: runners.FP32, Dims: []int64{2}, Raw: make([]byte, 4)}}
	r := probe.Read(m.Bytes(), onnx.Limits{})
	if len(r.Faults) != 2 || !strings.Contains(strings.Join(r.Faults, "|"), `operator "Secret" is of the domain "com.example"`) {
		t.Errorf("got %q", r.Faults)
	}
	m = linear()
	m.Graph.Outputs[0] = onnxtest.Value{Name: "y", Type: []byte{9<<3 | 2, 0}}
	if r := probe.Read(m.Bytes(), onnx.Limits{}); len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0], `output "y": it is optional`) {
		t.Errorf("got %q", r.Faults)
	}
	if r := probe.Read([]byte("no model"), onnx.Limits{}); len(r.Faults) == 0 {
		t.Error("text passed for a model")
	}
}

func open(t *testing.T) *onnx.Runtime {
	t.Helper()
	lib, err := ortlib.Find(os.Getenv, ".")
	if err != nil {
		t.Fatal(err)
	}
	rt, err := onnx.Open(t.Context(), onnx.Config{Library: lib, Threads: 2})
	if errors.Is(err, runners.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func measure(t *testing.T, m onnxtest.Model, s madeup.Config) *probe.Report {
	t.Helper()
	r := probe.Read(m.Bytes(), onnx.Limits{})
	if err := probe.Measure(t.Context(), open(t), m.Bytes(), s, r); err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	return r
}

func TestMeasure(t *testing.T) {
	r := measure(t, linear(), madeup.Config{})
	m := r.Measured
	if m == nil || m.NotRun != "" || m.Threads != 2 || m.Library == "" || len(m.Runs) != 3 || !slices.Equal(m.Shapes, []string{"x [1,16]"}) {
		t.Fatalf("got %+v", m)
	}
	for i, rows := range []int64{1, 8, 32} {
		if run := m.Runs[i]; run.Rows != rows || run.Count < 1 || run.MinMillis > run.MedianMillis {
			t.Errorf("got %+v", run)
		}
	}
	if m.Providers[0] != (probe.Provider{Name: "cpu", Runs: true}) {
		t.Errorf("got %+v", m.Providers)
	}
	for _, p := range m.Providers[1:] {
		if p.Says == "" {
			t.Errorf("nothing is said of %+v", p)
		}
	}
	if r := measure(t, linear(), madeup.Config{Sizes: map[string]int64{"batch": 3, "x.1": 5}}); r.Measured.Shapes[0] != "x [3,5]" {
		t.Errorf("got %v", r.Measured.Shapes)
	}
}

// TestMeasureEveryType runs identities of all element types, scalars among them, on values that are given.
func TestMeasureEveryType(t *testing.T) {
	for _, d := range []runners.DType{
		runners.BOOL, runners.INT8, runners.INT16, runners.INT32, runners.INT64, runners.UINT8, runners.UINT16, runners.UINT32,
		runners.UINT64, runners.FP16, runners.BF16, runners.FP32, runners.FP64, runners.BYTES,
	} {
		m := onnxtest.Model{Graph: onnxtest.Graph{
			Nodes:   []onnxtest.Node{{Op: "Identity", In: []string{"x"}, Out: []string{"y"}}},
			Inputs:  []onnxtest.Value{{Name: "x", DType: d, Dims: []runners.Dim{}}},
			Outputs: []onnxtest.Value{{Name: "y", DType: d, Dims: []runners.Dim{}}},
		}}
		for _, s := range []madeup.Config{{}, {Values: map[string]string{"x": "1"}}} {
			if r := measure(t, m, s); len(r.Faults) > 0 || r.Measured.NotRun != "" || len(r.Measured.Runs) != 1 {
				t.Errorf("%v: got %+v, %q", d, r.Measured, r.Faults)
			}
		}
	}
}

func TestMeasureSaysWhatItCannotDo(t *testing.T) {
	for name, c := range map[string]struct {
		sample madeup.Config
		want   string
	}{
		"no number": {madeup.Config{Values: map[string]string{"x": "much"}}, `"much" is no number`},
		"too large": {madeup.Config{Sizes: map[string]int64{"batch": 1 << 40}}, "too large"},
	} {
		if r := measure(t, linear(), c.sample); len(r.Faults) > 0 || !strings.Contains(r.Measured.NotRun, c.want) {
			t.Errorf("%s: got %+v", name, r.Measured)
		}
	}
	m := linear()
	m.Graph.Inputs[0].Dims = nil
	if r := measure(t, m, madeup.Config{}); !strings.Contains(r.Measured.NotRun, "open number of dimensions") {
		t.Errorf("got %+v", r.Measured)
	}
}

// TestMeasureFault: what only loading finds is a fault of the model, and the end of the time is not.
func TestMeasureFault(t *testing.T) {
	m := linear()
	m.Graph.Nodes[0].Op = "NoSuchOperator"
	r := probe.Read(m.Bytes(), onnx.Limits{})
	if len(r.Faults) > 0 {
		t.Fatalf("got %q before it is loaded", r.Faults)
	}
	if r := measure(t, m, madeup.Config{}); len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "NoSuchOperator") {
		t.Errorf("got %q", r.Faults)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = probe.Read(linear().Bytes(), onnx.Limits{})
	if err := probe.Measure(ctx, open(t), linear().Bytes(), madeup.Config{}, r); !errors.Is(err, context.Canceled) || len(r.Faults) > 0 {
		t.Errorf("got %v, %q", err, r.Faults)
	}
}
