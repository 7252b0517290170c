package main

import (
	"context"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// stream calls the graph and prints what happens as it happens; as JSON, one message a line.
func (c *inferCmd) stream(ctx context.Context, e *env, cl *client.Client, in map[string]*tandemv1.Value) error {
	opts := []client.InferOption{client.WithElements(), client.WithStickyKey(c.Key)}
	if c.Trace {
		opts = append(opts, client.WithTrace())
	}
	if c.Key != "" {
		opts = append(opts, client.WithStickyKey(c.Key))
	}
	if len(c.Outputs) > 0 {
		opts = append(opts, client.WithOutputs(c.Outputs...))
	}
	for event, err := range cl.InferStream(ctx, c.Graph, in, opts...) {
		if err != nil {
			return err
		}
		if c.json() {
			err = e.printLine(event)
		} else {
			err = printEvent(e, event)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printLine prints a message as JSON on one line.
func (e *env) printLine(event *tandemv1.InferStreamResponse) error {
	b, err := protojson.Marshal(event)
	if err != nil {
		return err
	}
	return e.say("%s\n", b)
}

func printEvent(e *env, event *tandemv1.InferStreamResponse) error {
	switch k := event.GetEvent().(type) {
	case *tandemv1.InferStreamResponse_Output:
		return e.say("%s: %s\n", k.Output.GetName(), valueText(k.Output.GetValue()))
	case *tandemv1.InferStreamResponse_Node:
		n := k.Node
		state := strings.ToLower(strings.TrimPrefix(n.GetState().String(), "NODE_STATE_"))
		text := n.GetNode()
		if t := n.GetTrace(); t != nil && !t.GetSkipped() {
			text += "  " + t.GetTarget() + ", " + millis(t.GetTotal())
		}
		if t := n.GetTrace(); t.GetError() != "" {
			text += ": " + t.GetError()
		}
		return e.say("%10s  %-8s  %s\n", millis(n.GetAt()), state, text)
	case *tandemv1.InferStreamResponse_Done:
		if err := e.say("done: %s, request %s\n", k.Done.GetRelease(), k.Done.GetRequestId()); err != nil {
			return err
		}
		if k.Done.GetTrace() != nil {
			return printTrace(e, k.Done.GetRelease(), k.Done.GetTrace())
		}
	}
	return nil
}
