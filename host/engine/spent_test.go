package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// TestWhatFailsIsCharged has a plugin use fuel and time and then fail: both are told although there is no answer.
func TestWhatFailsIsCharged(t *testing.T) {
	w := texts()
	w.functions["costly"] = function{
		in: []abi.Port{textPort("s")}, out: []abi.Port{textPort("s")},
		run: func(_ context.Context, c sandbox.Call) ([]value.Value, error) {
			err := errors.Join(c.Services.Spend(300, time.Millisecond), c.Services.Spend(200, time.Second))
			return nil, errors.Join(err, guestError("costly", "not today"))
		},
	}
	var mu sync.Mutex
	var told engine.Spent
	eng := engine.New(engine.Config{Spent: func(_ context.Context, s engine.Spent) {
		mu.Lock()
		defer mu.Unlock()
		told.Fuel += s.Fuel
		told.Compute += s.Compute
	}})
	rel := w.build(t, `
graph: g
inputs: {s: text}
outputs: {s: {from: n.s}}
nodes:
  n: {plugin: p, call: costly, in: {s: s}}
`)
	if _, err := eng.Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"s": value.Text("x")}}); err == nil {
		t.Fatal("it did not fail")
	}
	if told.Fuel != 500 || told.Compute != time.Second+time.Millisecond {
		t.Errorf("got %+v", told)
	}
}
