// Package subject is what several suites run and call: ONNX Runtime without anything around it, one run of a model, the model whose
// running time is chosen by its input, and requests for it.
package subject

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/sdk/client"
)

// Runtime opens the ONNX Runtime that the project below root uses, in this process, with so many threads for one operator, 0 for as many as there
// are cores. library is its path.
func Runtime(ctx context.Context, root string, threads int) (rt *onnx.Runtime, library string, err error) {
	if library, err = ortlib.Find(os.Getenv, root); err != nil {
		return nil, "", err
	}
	rt, err = onnx.Open(ctx, onnx.Config{Library: library, Threads: threads})
	return rt, library, err
}

// Once is [runners.Once] for what is timed from outside.
func Once(ctx context.Context, run runners.Runner, in []runners.Tensor) error {
	_, err := runners.Once(ctx, run, in)
	return err
}

// Noise fills data with FP32 numbers of -1 to 1, the same in every run.
func Noise(data []byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := 0; i+4 <= len(data); i += 4 {
		binary.LittleEndian.PutUint32(data[i:], math.Float32bits(rng.Float32()*2-1))
	}
}

// Publish pushes a model file under a name, and the graph of this name, whose definition is doc without its first line.
func Publish(ctx context.Context, c *client.Client, name, file, doc string, options *tandemv1.ModelOptions) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w: run make setup", err)
	}
	if _, err := c.PushModel(ctx, name, bytes.NewReader(text), int64(len(text)), client.WithModelOptions(options)); err != nil {
		return err
	}
	_, err = c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: "graph: " + name + "\n" + doc})
	return err
}

// Side is that of the matrices of [Product].
const Side = 96

// PublishProduct pushes the model that multiplies a matrix by itself as often as it is told, under a name, and the graph of this name.
func PublishProduct(ctx context.Context, c *client.Client, root, name string, options *tandemv1.ModelOptions) error {
	return Publish(ctx, c, name, filepath.Join(root, "runners", "onnx", "testdata", "slow.onnx"), fmt.Sprintf(`
inputs: {steps: {type: tensor, dtype: INT64, shape: []}, x: {type: tensor, dtype: FP32, shape: [n, n]}}
outputs: {y: {from: m.y}}
nodes: {m: {model: %s, in: {steps: steps, x: x}}}
`, name), options)
}

// Product asks for the unit matrix so many times by itself.
func Product(steps int64) map[string]*tandemv1.Value {
	unit := make([]float32, Side*Side)
	for i := range Side {
		unit[i*(Side+1)] = 1
	}
	return map[string]*tandemv1.Value{
		"steps": client.Int64s(nil, []int64{steps}),
		"x":     client.Float32s([]int64{Side, Side}, unit),
	}
}
