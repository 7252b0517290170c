package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// protocols are the ways to call the server, by name.
var protocols = map[string][]client.Option{
	"Connect": nil, "gRPC": {client.WithGRPC()}, "gRPC-Web": {client.WithGRPCWeb()}, "JSON": {client.WithJSON()},
}

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
		for name, options := range protocols {
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

// TestLargeAnswersOfPluginsAreTheirs has many callers at once, in every protocol, get what a plugin copied, alone and out of a cache.
// The memory of an answer is another's when it has been sent, and not before.
func TestLargeAnswersOfPluginsAreTheirs(t *testing.T) {
	const calls, size = 6, 1<<20 + 1<<19
	s := start(t, rig.Options{})
	pushFile(t, s.Client, "plugin", "values", "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
	mustPublish(t, s.Client, `
graph: copies
inputs: {text: text}
outputs: {once: c.text, again: d.text, kept: k.text}
nodes:
  c: {plugin: values, call: copy, in: {text: text}}
  d: {plugin: values, call: copy, in: {text: c.text}}
  k: {plugin: values, call: copy, in: {text: c.text}, cache: true}
`)
	var callers sync.WaitGroup
	for name, options := range protocols {
		c, err := client.New(s.URL, append(options, client.WithKey(s.Key))...)
		if err != nil {
			t.Fatal(err)
		}
		callers.Go(func() {
			for i := range calls {
				text := strings.Repeat(fmt.Sprintf("%s %d ", name, i%3), size/8) // every third has been kept
				res, err := c.Infer(bounded(t), "copies", map[string]*tandemv1.Value{"text": client.Text(text)})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				for _, port := range []string{"once", "again", "kept"} {
					if got := res.GetOutputs()[port].GetText(); got != text {
						t.Errorf("%s: call %d got another's text at %s: %.40q", name, i, port, got)
					}
				}
			}
		})
	}
	callers.Go(func() {
		text := client.Text(strings.Repeat("#", size))
		for range 4 * calls { // calls that fail give the memory of their requests back too
			_, err := s.Client.Inference.Infer(bounded(t), &tandemv1.InferRequest{
				Graph: "copies", Outputs: []string{"none"}, Inputs: map[string]*tandemv1.Value{"text": text},
			})
			if err == nil {
				t.Error("there is an output of that name")
			}
		}
	})
	callers.Wait()
}
