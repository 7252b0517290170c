package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/sdk/client"
)

// addGraph is a graph of the model add alone.
const addGraph = `
graph: add
inputs:
  a: {type: tensor, dtype: FP32, shape: [n, 3]}
  b: {type: tensor, dtype: FP32, shape: [n, 3]}
outputs:
  sum: {from: add.sum}
  difference: {from: add.difference}
nodes:
  add: {model: add, in: {a: a, b: b}}
`

func pushAdd(t *testing.T, s *rig.Server, providers string) (*tandemv1.Model, error) {
	t.Helper()
	model, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	o := &tandemv1.ModelOptions{Providers: providers}
	return s.Client.PushModel(bounded(t), "add", bytes.NewReader(model), int64(len(model)), client.WithModelOptions(o))
}

// checkAdd publishes the graph and holds its answer against the sum.
func checkAdd(t *testing.T, s *rig.Server) {
	t.Helper()
	if _, err := s.Client.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: addGraph}); err != nil {
		t.Fatal(err)
	}
	row := func(v float32) *tandemv1.Value {
		var data []byte
		for range 3 {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{DataType: tandemv1.DataType_DATA_TYPE_FP32, Shape: []int64{1, 3}, Data: data}}}
	}
	res, err := s.Client.Infer(bounded(t), "add", map[string]*tandemv1.Value{"a": row(1), "b": row(2)})
	if err != nil {
		t.Fatal(err)
	}
	if got := res.GetOutputs()["sum"].GetTensor().GetData(); !bytes.Equal(got, row(3).GetTensor().GetData()) {
		t.Errorf("got %v, want three times 3", got)
	}
}

// TestProvidersFallBack: a device that is not there is shown where it is preferred.
func TestProvidersFallBack(t *testing.T) {
	s := start(t, rig.Options{Args: []string{"--providers", "prefer:cuda:255"}})
	m, err := pushAdd(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.GetPlacement(); !strings.HasPrefix(got, "cpu (cuda:255: ") {
		t.Errorf("pushed: runs on %q, want cpu and why not cuda:255", got)
	}
	checkAdd(t, s)
	res, err := s.Client.Models.GetModel(bounded(t), &tandemv1.GetModelRequest{Name: "add"})
	if err != nil || res.GetModel().GetPlacement() != m.GetPlacement() {
		t.Errorf("loaded: runs on %q, %v, want %q", res.GetModel().GetPlacement(), err, m.GetPlacement())
	}
}

// TestProvidersRequired: a device that is not there refuses the model where it is required.
func TestProvidersRequired(t *testing.T) {
	s := start(t, rig.Options{Args: []string{"--providers", "require:cuda:255"}})
	_, err := pushAdd(t, s, "")
	wantFailure(t, err, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE)
	if !strings.Contains(err.Error(), "cuda:255") || strings.Contains(err.Error(), root(t)) {
		t.Errorf("got %v, want the provider named, and no path of the server's", err)
	}
	// What a model's owner asks for counts more than what the server is told.
	if m, err := pushAdd(t, s, "cpu"); err != nil || m.GetPlacement() != "cpu" || m.GetOptions().GetProviders() != "cpu" {
		t.Errorf("a model that asks for the CPU: got %v, %v", m, err)
	}
	if _, err := pushAdd(t, s, "gpu"); err == nil || connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a model that asks for nonsense: got %v, want invalid argument", err)
	}
	log := &logBuffer{}
	if _, err := rig.Start(context.WithoutCancel(t.Context()), rig.Options{Root: root(t), Args: []string{"--providers", "gpu"}, Log: log}); err == nil ||
		!strings.Contains(log.String(), `providers "gpu": want cpu, prefer:LIST or require:LIST`) {
		t.Errorf("a server with providers that do not exist: got %v\n%s", err, log.String())
	}
}

// TestProvidersWebGPU serves a model on WebGPU, over a Vulkan driver that needs no GPU.
func TestProvidersWebGPU(t *testing.T) {
	env, err := ortlib.SwiftShader(root(t))
	if err != nil {
		t.Skipf("no software driver for Vulkan: %v", err)
	}
	for k, v := range env {
		t.Setenv(k, v)
	}
	s := start(t, rig.Options{Args: []string{"--providers", "prefer:webgpu"}})
	m, err := pushAdd(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	checkAdd(t, s)
	if strings.Contains(m.GetPlacement(), "built without it") {
		t.Skipf("no WebGPU: %s", m.GetPlacement())
	}
	if got := m.GetPlacement(); got != "webgpu: 2 operators" {
		t.Errorf("runs on %q, want webgpu", got)
	}
}
