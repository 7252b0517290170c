package api

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/engine"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// InferStream implements tandemv1connect.InferenceServiceHandler.
func (h inference) InferStream(ctx context.Context, req *tandemv1.InferStreamRequest, stream tandemv1connect.InferenceServiceInferStreamServerStream) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	events := &eventQueue{changed: make(chan struct{}, 1)}
	var done *tandemv1.DoneEvent
	var failed error
	var running sync.WaitGroup
	running.Go(func() {
		ctx, task := background.Fork(ctx)
		defer task.End()
		defer events.close()
		// A panic here would end the process: the call's own recovery is on another goroutine.
		failed = protect(func() (err error) {
			done, err = h.inferEvents(ctx, req, events.add)
			return err
		})
	})
	err := h.sendEvents(events, req, stream)
	if err != nil {
		cancel(err) // nobody reads any more
	}
	running.Wait()
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	return stream.Send(&tandemv1.InferStreamResponse{Event: &tandemv1.InferStreamResponse_Done{Done: done}})
}

// inferEvents runs a request whose events go to tell.
func (h inference) inferEvents(ctx context.Context, req *tandemv1.InferStreamRequest, tell func(engine.Event)) (*tandemv1.DoneEvent, error) {
	res, lease, err := h.infer(ctx, req.GetInfer(), tell)
	if err != nil {
		return nil, err
	}
	defer res.Release()
	return &tandemv1.DoneEvent{RequestId: requestID(ctx), Release: lease, Trace: traceTo(res.Trace)}, nil
}

// sendEvents sends what comes until there is no more.
func (h inference) sendEvents(events *eventQueue, req *tandemv1.InferStreamRequest, stream tandemv1connect.InferenceServiceInferStreamServerStream) error {
	for {
		batch, more := events.take()
		for i := range batch {
			msg, err := eventTo(&batch[i], req)
			if err != nil {
				return err
			}
			if msg == nil {
				continue
			}
			if err := stream.Send(msg); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// eventTo writes an event; nil when it is not wanted.
func eventTo(e *engine.Event, req *tandemv1.InferStreamRequest) (*tandemv1.InferStreamResponse, error) {
	if e.Node == "" {
		v, err := valueTo(e.Value, req.GetInfer().GetTensorEncoding())
		if err != nil {
			return nil, fmt.Errorf("%w: output %s: %w", errInput, e.Output, err)
		}
		return &tandemv1.InferStreamResponse{Event: &tandemv1.InferStreamResponse_Output{
			Output: &tandemv1.OutputEvent{Name: e.Output, Value: v},
		}}, nil
	}
	if req.GetOutputsOnly() {
		return nil, nil //nolint:nilnil // nothing is to be sent
	}
	n := &tandemv1.NodeEvent{Node: e.Node, State: stateOf[e.State], At: durationpb.New(e.At)}
	if e.Trace != nil {
		n.Trace = nodeTraceTo(e.Trace)
	}
	return &tandemv1.InferStreamResponse{Event: &tandemv1.InferStreamResponse_Node{Node: n}}, nil
}

var stateOf = map[engine.State]tandemv1.NodeState{
	engine.StateStarted:  tandemv1.NodeState_NODE_STATE_STARTED,
	engine.StateFinished: tandemv1.NodeState_NODE_STATE_FINISHED,
	engine.StateSkipped:  tandemv1.NodeState_NODE_STATE_SKIPPED,
	engine.StateFailed:   tandemv1.NodeState_NODE_STATE_FAILED,
}

// eventQueue takes events without ever holding up the request that they come from. It is bounded by the graph: two events
// for each node, one for each output.
type eventQueue struct {
	changed chan struct{} // holds one when there is something to take

	mu     sync.Mutex // guards the following
	events []engine.Event
	closed bool
}

func (q *eventQueue) add(e engine.Event) {
	q.mu.Lock()
	q.events = append(q.events, e)
	q.mu.Unlock()
	q.wake()
}

func (q *eventQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *eventQueue) wake() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// take waits for events; more is false when these are the last.
func (q *eventQueue) take() (events []engine.Event, more bool) {
	<-q.changed
	q.mu.Lock()
	defer q.mu.Unlock()
	events, q.events = q.events, nil
	return events, !q.closed
}
