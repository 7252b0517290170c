package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/value"
)

// growing returns a world with a function that makes n bytes of text out of any, and asks before it does.
func growing(n int) *world {
	w := texts()
	w.functions["grow"] = function{
		in: []abi.Port{textPort("s")}, out: []abi.Port{textPort("s")},
		run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
			if err := c.Services.Output(int64(n)); err != nil {
				return nil, &sandbox.CallError{Kind: sandbox.KindQuota, Text: err.Error(), Cause: err}
			}
			return []value.Value{value.Text(strings.Repeat("y", n))}, nil
		},
	}
	return w
}

const grownTwice = `
graph: g
inputs: {s: text}
outputs: {s: b.s}
nodes:
  a: {plugin: p, call: grow, in: {s: s}}
  b: {plugin: p, call: grow, in: {s: a.s}}
`

// TestOutputsThatNobodyExpectedAreCounted has nodes that give far more than they read: what they hold is taken from the memory
// of all requests as it appears, until the result is released, and a request for which there is not enough ends.
func TestOutputsThatNobodyExpectedAreCounted(t *testing.T) {
	const size = 1 << 20
	rel := growing(size).build(t, grownTwice)
	e := engine.New(engine.Config{MemoryBytes: 4 * size})
	first, err := e.Run(t.Context(), rel, in1("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Stats().MemoryBytes; got < 2*size {
		t.Errorf("%d bytes are in use while an answer of %d is sent, want it and its message counted", got, size)
	}
	_, err = e.Run(t.Context(), rel, in1("x")) // needs three while two are left
	var refused *engine.Error
	if err == nil {
		_, err = e.Run(t.Context(), rel, in1("x"))
	}
	if !errors.As(err, &refused) || refused.Reason != engine.ReasonLimit || refused.RetryAfter <= 0 || !strings.Contains(refused.Text, "nobody could know") {
		t.Errorf("got %v, want a refusal with a hint", err)
	}
	first.Release()
	first.Release()
	res, err := e.Run(t.Context(), rel, in1("x"))
	if err != nil {
		t.Fatalf("after the first was sent: %v", err)
	}
	res.Release()
	if got := e.Stats().MemoryBytes; got != 0 {
		t.Errorf("%d bytes are in use by nobody", got)
	}
}

// TestHoldEndsRequests tells a tenant's quota of what its requests hold: the quota ends those beyond, and everything comes back.
func TestHoldEndsRequests(t *testing.T) {
	const size, limit = 1 << 20, 3 << 20
	var held, most atomic.Int64
	e := engine.New(engine.Config{Hold: func(_ context.Context, delta int64) error {
		n := held.Add(delta)
		if delta > 0 && n > limit {
			held.Add(-delta)
			return &tenant.QuotaError{Quota: "bytes_in_flight", Limit: limit, Use: n - delta, Need: delta}
		}
		most.Store(max(most.Load(), n))
		return nil
	}})
	rel := growing(size).build(t, grownTwice)
	res, err := e.Run(t.Context(), rel, in1("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := held.Load(); got != 2*size {
		t.Errorf("an answer of %d bytes holds %d, want it and its message", size, got)
	}
	_, err = e.Run(t.Context(), rel, in1("x"))
	if !errors.Is(err, tenant.ErrQuota) {
		t.Errorf("got %v, want the quota", err)
	}
	res.Release()
	if got := held.Load(); got != 0 || most.Load() > limit {
		t.Errorf("%d bytes are held in the end, and %d at most", got, most.Load())
	}

	w := texts()
	w.models["wide"] = widening()
	model := w.build(t, widen)
	for _, n := range []int64{100, 100_000} {
		res, err := e.Run(t.Context(), model, rows(n))
		if small := n == 100; small != (err == nil) {
			t.Errorf("%d rows: got %v", n, err)
		}
		if err == nil {
			res.Release()
		}
		if got := held.Load(); got != 0 {
			t.Errorf("%d rows: %d bytes are held in the end", n, got)
		}
	}
}

// TestRefusedOutputsAreGivenBack refuses what a request asks for, each time the one after: what models lent it is given back, also that of outputs
// for which there was room.
func TestRefusedOutputsAreGivenBack(t *testing.T) {
	const n = 20_000 // of 4 bytes, which count as they are sent
	w := texts()
	w.models["double"], w.models["again"] = double(), double()
	rel := w.build(t, `
graph: two
inputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}
outputs: {one: one.y, other: other.y}
nodes:
  one:   {model: double, in: {x: x}}
  other: {model: again, in: {x: x}}
  trial: {model: again, in: {x: one.y}, shadow: true}
`)
	for refused := int64(1); ; refused++ {
		var asked atomic.Int64 // nodes ask at the same time
		e := engine.New(engine.Config{Hold: func(_ context.Context, delta int64) error {
			if delta > 0 && asked.Add(1) == refused {
				return errors.New("not this one")
			}
			return nil
		}})
		res, err := e.Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"x": floats([]int64{1, n}, make([]float32, n)...)}})
		if err == nil {
			res.Release()
		}
		e.Close(t.Context())
		if lent := w.models["double"].Lent() + w.models["again"].Lent(); lent != 0 {
			t.Fatalf("without what it asked for at %d, %v: %d outputs were never given back", refused, err, lent)
		}
		if err == nil {
			if refused < 3 {
				t.Errorf("it asked %d times", refused-1)
			}
			return
		}
	}
}
