package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
)

// modelTarget runs a model. Inputs are read where they are; outputs stand in the runner's memory until the last reader is
// done.
type modelTarget struct {
	label  string
	runner runners.Runner
}

// Model returns the target that runs r, which stays the caller's; label says which model it is, as "det@1".
func Model(r runners.Runner, label string) Target {
	return &modelTarget{label: "model " + label, runner: r}
}

// Label says which model it is.
func (m *modelTarget) Label() string { return m.label }

func (m *modelTarget) run(ctx context.Context, c *call) (*answer, error) {
	in := make([]runners.Tensor, len(c.in))
	rows := 0
	for i, v := range c.in {
		in[i] = tensorOf(v)
		if len(v.Shape) > 0 {
			rows = max(rows, int(v.Shape[0]))
		}
	}
	out := make([]runners.Tensor, len(c.node.Outputs))
	begin := time.Now()
	if err := m.runner.Run(asCaller(ctx), in, out); err != nil {
		return nil, err
	}
	a := &answer{
		values: make([]value.Value, len(out)),
		free:   func() { releaseTensors(out) },
		stats:  stats{ran: time.Since(begin), rows: rows},
	}
	for i := range out {
		v, err := valueOf(&out[i], &c.node.Outputs[i])
		if err != nil {
			a.free()
			return nil, err
		}
		a.values[i] = v
	}
	return a, nil
}

// asCaller tells the batcher whose turn the run takes.
func asCaller(ctx context.Context) context.Context {
	who, err := tenant.From(ctx)
	if err != nil {
		return ctx // a request of no tenant, as in tests: it shares the turns of all such
	}
	return batch.WithCaller(ctx, batch.Caller{Tenant: string(who)})
}

func releaseTensors(ts []runners.Tensor) {
	for i := range ts {
		ts[i].Release()
	}
}

// valueOf returns what a runner gave as the value that the port declares: sequences and maps come as JSON in a scalar.
func valueOf(t *runners.Tensor, port *graph.NodeOutput) (value.Value, error) {
	if port.Type.Kind == abi.KindJSON {
		doc, err := runners.UnpackBytes(t.Data, 1)
		if err != nil {
			return value.Value{}, fmt.Errorf("output %s: %w", port.Port, err)
		}
		return value.JSON(doc[0]), nil
	}
	return value.Tensor(abi.DType(t.DType), t.Shape, t.Data), nil
}
