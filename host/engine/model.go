package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/host/background"
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
	of     Of
	label  string
	runner runners.Runner
}

// Model returns the target that runs r, which stays the caller's.
func Model(r runners.Runner, of Of) Target {
	return &modelTarget{of: of, label: "model " + of.Label, runner: r}
}

// Label says which model it is.
func (m *modelTarget) Label() string { return m.label }

func (m *modelTarget) identity() string { return "model " + m.of.Digest }

func (m *modelTarget) run(ctx context.Context, c *call) (*answer, error) {
	in := make([]runners.Tensor, len(c.in))
	for i, v := range c.in {
		in[i] = tensorOf(v)
	}
	out := make([]runners.Tensor, len(c.node.Outputs))
	var account batch.Account
	background.Rest(ctx)
	begin := time.Now()
	err := m.runner.Run(batch.WithAccount(c.asCaller(ctx), &account), in, out)
	figures := statsOf(&account, time.Since(begin), rowsOf(in))
	c.r.eng.cfg.Spent(ctx, Spent{Compute: figures.share()})
	if err != nil {
		return nil, err
	}
	a := &answer{
		values: make([]value.Value, len(out)),
		free:   func() { releaseTensors(out) },
		stats:  figures,
	}
	for i := range out {
		a.bytes += int64(len(out[i].Data))
	}
	if err := c.r.held.grow(a.bytes); err != nil {
		a.free()
		return nil, err
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

// rowsOf returns how many rows the inputs of a model have.
func rowsOf(in []runners.Tensor) int {
	rows := 0
	for i := range in {
		if len(in[i].Shape) > 0 {
			rows = max(rows, int(in[i].Shape[0]))
		}
	}
	return rows
}

// statsOf returns the figures of a run. A runner that is no batcher leaves the account empty: then all the time was the model's.
func statsOf(a *batch.Account, took time.Duration, rows int) stats {
	if a.Rows == 0 && a.Runs == 0 {
		return stats{ran: took, rows: rows}
	}
	return stats{
		waited: max(took-a.Ran, a.Queued), queued: a.Queued, ran: a.Ran, rows: rows, copied: int64(a.BytesCopied),
		batchRows: a.Rows, batchRequests: a.Requests, batchClosed: a.Reason.String(),
	}
}

// share is the part of a run's time that is the request's own: others may have shared the run.
func (s *stats) share() time.Duration {
	if s.rows <= 0 || s.batchRows <= s.rows {
		return s.ran
	}
	return s.ran * time.Duration(s.rows) / time.Duration(s.batchRows)
}

// asCaller tells the batcher whose turn the run takes and how urgent it is.
func (c *call) asCaller(ctx context.Context) context.Context {
	who, err := tenant.From(ctx)
	if err != nil {
		who = "" // a request of no tenant, as in tests: it shares the turns of all such
	}
	return batch.WithCaller(ctx, batch.Caller{Tenant: string(who), Priority: c.priority()})
}

// priority is the node's own and that of the graphs around it together; what runs in the shadow is below all.
func (c *call) priority() batch.Priority {
	if c.r.inShadow || c.r.aside {
		return batch.Background
	}
	return batch.Priority(min(max(c.r.priority+c.node.Priority, int(batch.Low)), int(batch.High)))
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
