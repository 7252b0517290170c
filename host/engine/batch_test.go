package engine_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
)

// A node that ran a model says what it shared its run with, why that was closed, how long it queued for it and what was copied.
func TestTraceShowsTheBatch(t *testing.T) {
	w := texts()
	w.models["double"] = double()
	rel := w.build(t, `
graph: g
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {y: {from: once.y}}
nodes:
  once: {model: double, in: {x: x}}
`)
	synctest.Test(t, func(t *testing.T) {
		s := doubling()
		s.Takes = func([]runners.Tensor) time.Duration { return time.Second }
		batched := batch.New(fake.New(s), batch.Config{MaxRows: 3})
		rel.Targets[0] = engine.Model(batched, engine.Of{Label: "double@1", Digest: "double"})
		eng := engine.New(engine.Config{})
		traces := make([]engine.NodeTrace, 3)
		var calls sync.WaitGroup
		for i, rows := range []int64{1, 1, 2} {
			calls.Go(func() {
				in := map[string]value.Value{"x": floats([]int64{rows, 1}, make([]float32, rows)...)}
				res, err := eng.Run(t.Context(), rel, engine.Request{Inputs: in, Trace: true})
				if err != nil {
					t.Error(err)
					return
				}
				res.Release()
				traces[i] = res.Trace.Nodes[0]
			})
			synctest.Wait()
		}
		calls.Wait()
		trace := func(rows, batchRows, requests int, closed string, queued time.Duration, copied int64) engine.NodeTrace {
			return engine.NodeTrace{
				Node: "once", Target: "model double@1", Waited: queued, Queued: queued, Ran: time.Second, Total: time.Second + queued,
				Copied: copied, Rows: rows, BatchRows: batchRows, BatchRequests: requests, BatchClosed: closed,
			}
		}
		want := []engine.NodeTrace{
			trace(1, 1, 1, "idle", 0, 0), trace(1, 3, 2, "full", time.Second, 4), trace(2, 3, 2, "full", time.Second, 8),
		}
		if diff := cmp.Diff(want, traces, cmpopts.IgnoreFields(engine.NodeTrace{}, "Budget")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := batched.Close(); err != nil {
			t.Error(err)
		}
	})
}
