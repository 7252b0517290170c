package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestAnswersAreGivenBack calls a model in every protocol, and as a stream: answers stand in the memory that is shared with the
// worker until they have been encoded, and nothing of it is held after that.
func TestAnswersAreGivenBack(t *testing.T) {
	const rows = 20_000 // in one run
	s := start(t, rig.Options{})
	file, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.PushModel(bounded(t), "add", bytes.NewReader(file), int64(len(file)), client.WithModelOptions(&tandemv1.ModelOptions{MaxRows: rows})); err != nil {
		t.Fatal(err)
	}
	doc := `{"graph": "add", "inputs": {"a": {"type": "tensor", "dtype": "FP32", "shape": ["n", 3]}},
 "outputs": {"sum": {"from": "m.sum"}, "difference": {"from": "m.difference"}}, "nodes": {"m": {"model": "add", "in": {"a": "a", "b": "a"}}}}`
	if _, err := s.Client.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: doc}); err != nil {
		t.Fatal(err)
	}
	one := make([]float32, 3*rows)
	for i := range one {
		one[i] = float32(i)
	}
	in := map[string]*tandemv1.Value{"a": client.Float32s([]int64{rows, 3}, one)}
	var two []float32
	for _, f := range one {
		two = append(two, 2*f)
	}
	want := client.Float32s([]int64{rows, 3}, two).GetTensor().GetData()
	held := -1
	for round := range 3 {
		for name, options := range map[string][]client.Option{
			"Connect": nil, "gRPC": {client.WithGRPC()}, "gRPC-Web": {client.WithGRPCWeb()}, "JSON": {client.WithJSON()},
		} {
			c, err := client.New(s.URL, append(options, client.WithKey(s.Key))...)
			if err != nil {
				t.Fatal(err)
			}
			res, err := c.Infer(bounded(t), "add", in)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !bytes.Equal(res.GetOutputs()["sum"].GetTensor().GetData(), want) {
				t.Errorf("%s: the sum is not twice the input", name)
			}
		}
		for _, err := range s.Client.InferStream(bounded(t), "add", in) {
			if err != nil {
				t.Fatal(err)
			}
		}
		now := metric(t, s, "tandem_worker_shared_bytes") // -1 when it is a megabyte or more
		if now < 0 || round > 0 && now > held {
			t.Errorf("round %d: %d bytes of shared memory are held, %d were before", round, now, held)
		}
		held = now
	}
}
