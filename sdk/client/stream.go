package client

import (
	"context"
	"errors"
	"io"
	"iter"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// InferStream calls a graph and yields what happens as it happens: nodes that start and end, outputs as soon as they are
// there, and at last a DoneEvent. A failure is yielded once, as the last; it carries a Detail as that of Infer does. Leaving
// the loop ends the call.
func (c *Client) InferStream(ctx context.Context, graph string, in map[string]*tandemv1.Value, opts ...InferOption) iter.Seq2[*tandemv1.InferStreamResponse, error] {
	r := &tandemv1.InferRequest{Graph: graph, Inputs: in}
	for _, o := range opts {
		o.applyInfer(r)
	}
	return func(yield func(*tandemv1.InferStreamResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.Inference.InferStream(ctx, &tandemv1.InferStreamRequest{Infer: r})
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = stream.Close() }() // what is wrong with it, Receive has said
		for {
			event, err := stream.Receive()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}
