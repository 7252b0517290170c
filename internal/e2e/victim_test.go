package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// victim is a tenant with a graph of a plugin and a model, which it calls at a steady rate.
type victim struct {
	client *client.Client
}

// victimRate is how many calls a second the victim makes. The hostile suite makes sure that they are inside its share.
const victimRate = 100

func newVictim(t *testing.T, s *rig.Server) *victim {
	t.Helper()
	v := &victim{client: newTenant(t, s, "victim")}
	pushFile(t, v.client, "model", "adder", "runners", "onnx", "testdata", "add_sub.onnx")
	pushFile(t, v.client, "plugin", "values", "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
	mustPublish(t, v.client, `
graph: honest
inputs: {a: {type: tensor, dtype: FP32, shape: [n, 3]}, b: {type: tensor, dtype: FP32, shape: [n, 3]}}
outputs: {sum: {from: m.sum}}
nodes:
  c: {plugin: values, call: copy, in: {tensor: a}}
  m: {model: adder, in: {a: c.tensor, b: b}}
`)
	return v
}

// latencies is what a load measured.
type latencies struct {
	calls  int
	took   []time.Duration // sorted
	failed []error
}

// at returns a percentile of the calls' times, 0 when there is none.
func (l *latencies) at(percent int) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[min(len(l.took)*percent/100, len(l.took)-1)]
}

// add takes in what another load measured.
func (l *latencies) add(o latencies) {
	l.calls += o.calls
	l.failed = append(l.failed, o.failed...)
	l.took = append(l.took, o.took...)
	slices.Sort(l.took)
}

// load calls at the victim's rate for a while, whether earlier calls have ended or not, and waits for all of them. A call's time
// counts from the moment when it was due.
func (v *victim) load(t *testing.T, window time.Duration) latencies {
	t.Helper()
	var l latencies
	var mu sync.Mutex // guards l
	var calls sync.WaitGroup
	begin := time.Now()
	for after := time.Duration(0); after < window; after += time.Second / victimRate {
		due := begin.Add(after)
		<-time.NewTimer(time.Until(due)).C // fires at once for a call that is late
		calls.Go(func() {
			err := v.call(t.Context())
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			l.calls++
			l.took = append(l.took, took)
			if err != nil {
				l.failed = append(l.failed, err)
			}
		})
	}
	calls.Wait()
	slices.Sort(l.took)
	return l
}

// call calls once and checks the answer. It gives up after 20 s.
func (v *victim) call(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	one := client.Float32s([]int64{1, 3}, []float32{1, 2, 3})
	res, err := v.client.Infer(ctx, "honest", map[string]*tandemv1.Value{"a": one, "b": one})
	if err != nil {
		return err
	}
	want := client.Float32s([]int64{1, 3}, []float32{2, 4, 6})
	if got := res.GetOutputs()["sum"].GetTensor().GetData(); !slices.Equal(got, want.GetTensor().GetData()) {
		return fmt.Errorf("the sum is %x", got)
	}
	return nil
}
