package e2e

import (
	"net/http"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestStreamOverEveryProtocol: what comes in parts is what Infer says at once, every node is told of, and the last message
// says who answered.
func TestStreamOverEveryProtocol(t *testing.T) {
	s := examples(t)
	in := map[string]*tandemv1.Value{"text": client.Text("A warm, funny and wonderful film.")}
	whole, err := s.Client.Infer(bounded(t), rig.GraphSideBySide, in)
	if err != nil {
		t.Fatal(err)
	}
	http1 := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(http1.CloseIdleConnections)
	for name, opts := range map[string][]client.Option{
		"Connect":            {},
		"Connect JSON":       {client.WithJSON(), client.WithHTTPClient(http1)},
		"gRPC":               {client.WithGRPC()},
		"gRPC-Web, HTTP/1.1": {client.WithGRPCWeb(), client.WithHTTPClient(http1)},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.New(s.URL, append(opts, client.WithKey(s.Key))...)
			if err != nil {
				t.Fatal(err)
			}
			outputs, states := map[string]*tandemv1.Value{}, map[string][]tandemv1.NodeState{}
			var done *tandemv1.DoneEvent
			for event, err := range c.InferStream(bounded(t), rig.GraphSideBySide, in, client.WithTrace()) {
				if err != nil {
					t.Fatal(err)
				}
				if done != nil {
					t.Fatalf("a message after the last: %v", event)
				}
				switch e := event.GetEvent().(type) {
				case *tandemv1.InferStreamResponse_Output:
					outputs[e.Output.GetName()] = e.Output.GetValue()
				case *tandemv1.InferStreamResponse_Node:
					states[e.Node.GetNode()] = append(states[e.Node.GetNode()], e.Node.GetState())
				case *tandemv1.InferStreamResponse_Done:
					done = e.Done
				}
			}
			if done.GetRequestId() == "" || done.GetRelease() != whole.GetRelease() || len(done.GetTrace().GetNodes()) != len(states) {
				t.Errorf("the last message is %v, want a request id, %s and a trace of %d nodes", done, whole.GetRelease(), len(states))
			}
			if len(outputs) != len(whole.GetOutputs()) {
				t.Errorf("got %d outputs, want %d", len(outputs), len(whole.GetOutputs()))
			}
			for name, want := range whole.GetOutputs() {
				if !proto.Equal(outputs[name], want) {
					t.Errorf("output %s: got %v, want %v", name, outputs[name], want)
				}
			}
			for _, node := range []string{"tokens", "a", "b", "judge_a", "judge_b", "compare"} {
				want := []tandemv1.NodeState{tandemv1.NodeState_NODE_STATE_STARTED, tandemv1.NodeState_NODE_STATE_FINISHED}
				if !slices.Equal(states[node], want) {
					t.Errorf("node %s: got %v, want %v", node, states[node], want)
				}
			}
		})
	}
}

// TestStreamEndsWithTheError: what was sent before a failure stands; the failure is the one that Infer gives.
func TestStreamEndsWithTheError(t *testing.T) {
	s := examples(t)
	in := map[string]*tandemv1.Value{"photo": client.Image([]byte("no image"))}
	_, want := s.Client.Infer(bounded(t), rig.GraphOCR, in)
	for name, opts := range map[string][]client.Option{"Connect": {}, "gRPC": {client.WithGRPC()}, "gRPC-Web": {client.WithGRPCWeb()}} {
		c, err := client.New(s.URL, append(opts, client.WithKey(s.Key))...)
		if err != nil {
			t.Fatal(err)
		}
		var got error
		failed := ""
		for event, err := range c.InferStream(bounded(t), rig.GraphOCR, in) {
			got = err
			if n := event.GetNode(); n.GetState() == tandemv1.NodeState_NODE_STATE_FAILED {
				failed = n.GetNode()
			}
		}
		if got == nil || client.Reason(got) != client.Reason(want) || client.Detail(got).GetNode() != failed || failed == "" {
			t.Errorf("%s: got %v after the failure of %q, want %v", name, got, failed, want)
		}
	}
}
