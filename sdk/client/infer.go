package client

import (
	"context"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// InferOption changes one call of Infer.
type InferOption interface{ applyInfer(*tandemv1.InferRequest) }

type inferFunc func(*tandemv1.InferRequest)

func (f inferFunc) applyInfer(r *tandemv1.InferRequest) { f(r) }

// WithTrace asks for what each node did.
func WithTrace() InferOption {
	return inferFunc(func(r *tandemv1.InferRequest) { r.Trace = true })
}

// WithOutputs asks for some outputs only. Default: all.
func WithOutputs(names ...string) InferOption {
	return inferFunc(func(r *tandemv1.InferRequest) { r.Outputs = names })
}

// WithStickyKey makes calls with the same key, a user's id for instance, go to the same release while the graph has a
// canary. Default: what the canary's own expression finds in the inputs, else chance.
func WithStickyKey(key string) InferOption {
	return inferFunc(func(r *tandemv1.InferRequest) { r.StickyKey = key })
}

// WithElements asks for tensors in their written-out form, Tensor.elements: easier to read, several times slower. Default:
// raw, in Tensor.data.
func WithElements() InferOption {
	return inferFunc(func(r *tandemv1.InferRequest) {
		r.TensorEncoding = tandemv1.TensorEncoding_TENSOR_ENCODING_ELEMENTS
	})
}

// Infer calls a graph, by name or name@version, and returns its answer. The deadline of ctx holds on the server too. A
// failure carries a Detail with graph, node and port.
func (c *Client) Infer(ctx context.Context, graph string, in map[string]*tandemv1.Value, opts ...InferOption) (*tandemv1.InferResponse, error) {
	r := &tandemv1.InferRequest{Graph: graph, Inputs: in}
	for _, o := range opts {
		o.applyInfer(r)
	}
	return c.Inference.Infer(ctx, r)
}
