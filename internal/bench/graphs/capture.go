package graphs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/sdk/client"
)

// modelInput is what one model node got in one call: a tensor for each input, or a list of them when the node is mapped.
type modelInput struct {
	model string
	in    map[string]*tandemv1.Value
}

// document is the part of a graph definition that the capture reads and changes.
type document struct {
	Graph   string                    `yaml:"graph"`
	Inputs  map[string]any            `yaml:"inputs"`
	Outputs map[string]any            `yaml:"outputs"`
	Nodes   map[string]map[string]any `yaml:"nodes"`
}

// capture publishes a copy of the graph that also puts out what its models get, calls it once and returns what they got.
// The tensors are thus the very ones that the models get on the server.
func capture(ctx context.Context, root string, c *client.Client, sc scenario) ([]modelInput, error) {
	text, err := os.ReadFile(filepath.Join(root, "examples", sc.graph, "graph.yaml"))
	if err != nil {
		return nil, err
	}
	doc, err := captureDocument(text)
	if err != nil {
		return nil, err
	}
	copied, err := yaml.Marshal(doc)
	if err != nil {
		return nil, err
	}
	if _, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: string(copied)}); err != nil {
		return nil, err
	}
	res, err := c.Infer(ctx, doc.Graph, sc.inputs)
	if err != nil {
		return nil, err
	}
	return doc.collect(res.GetOutputs())
}

// captureDocument returns the definition in text with the inputs of its model nodes among the outputs. The graph's own outputs
// stay, because a node that nothing needs is a fault.
func captureDocument(text []byte) (*document, error) {
	doc := &document{}
	if err := yaml.Unmarshal(text, doc); err != nil {
		return nil, err
	}
	doc.Graph += "-capture"
	err := doc.eachInput(func(node, port string, from any) error {
		doc.Outputs[outputName(node, port)] = map[string]any{"from": from}
		return nil
	})
	return doc, err
}

// collect is the inverse: it sorts the outputs of a captured call by model node.
func (d *document) collect(out map[string]*tandemv1.Value) ([]modelInput, error) {
	byNode := map[string]modelInput{}
	err := d.eachInput(func(node, port string, _ any) error {
		v := out[outputName(node, port)]
		if v == nil {
			return fmt.Errorf("no output %s", outputName(node, port))
		}
		m, ok := byNode[node]
		if !ok {
			m = modelInput{model: fmt.Sprint(d.Nodes[node]["model"]), in: map[string]*tandemv1.Value{}}
			byNode[node] = m
		}
		m.in[port] = v
		return nil
	})
	all := make([]modelInput, 0, len(byNode))
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		all = append(all, byNode[node])
	}
	return all, err
}

// eachInput calls f for every input of every model node.
func (d *document) eachInput(f func(node, port string, from any) error) error {
	for _, name := range slices.Sorted(maps.Keys(d.Nodes)) {
		node := d.Nodes[name]
		if node["model"] == nil {
			continue
		}
		in, ok := node["in"].(map[string]any)
		if !ok {
			return fmt.Errorf("node %s: its inputs are no map", name)
		}
		for _, port := range slices.Sorted(maps.Keys(in)) {
			if err := f(name, port, in[port]); err != nil {
				return fmt.Errorf("node %s: %w", name, err)
			}
		}
	}
	return nil
}

func outputName(node, port string) string { return node + "_" + port }

// items returns the tensors of v: one, or those of a list.
func items(v *tandemv1.Value) ([]runners.Tensor, error) {
	values := []*tandemv1.Value{v}
	if list := v.GetList(); list != nil {
		values = list.GetItems()
	}
	out := make([]runners.Tensor, len(values))
	for i, item := range values {
		t := item.GetTensor()
		if t == nil {
			return nil, errors.New("a model's input is no tensor")
		}
		d, err := dtype(t.GetDataType())
		if err != nil {
			return nil, err
		}
		out[i] = runners.Tensor{DType: d, Shape: t.GetShape(), Data: t.GetData()}
	}
	return out, nil
}

// dtype returns the runners' name for d. BYTES has another layout there and is refused.
func dtype(d tandemv1.DataType) (runners.DType, error) {
	name := strings.TrimPrefix(d.String(), "DATA_TYPE_")
	for r := runners.FP32; r <= runners.BF16; r++ {
		if r.Valid() && r != runners.BYTES && r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("no model of the examples takes %s", name)
}
