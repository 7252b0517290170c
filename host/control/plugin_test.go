package control_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/tenant"
)

// A plugin runs at its upload, and when it is started for a publication: its tenant pays, and has no more memory for it than it may.
func TestGuestsAtUploadAreTheTenants(t *testing.T) {
	const limit = 64 << 10
	box, err := sandbox.New(t.Context(), sandbox.Config{TenantMemory: func(id string) int64 {
		if id == string(other) {
			return limit
		}
		return -1
	}})
	if err != nil {
		t.Fatal(err)
	}
	type callKey struct{}
	spent := map[any]engine.Spent{} // by call
	h := newHouseOf(t, control.Config{Sandbox: box, Spent: func(ctx context.Context, s engine.Spent) {
		sum := spent[ctx.Value(callKey{})]
		spent[ctx.Value(callKey{})] = engine.Spent{Fuel: sum.Fuel + s.Fuel, Compute: sum.Compute + s.Compute}
	}})
	push := func(id tenant.ID) error {
		upload := h.upload(t, id, control.UploadPlugin, "values", sandboxtest.Module(t, "values"))
		_, err := h.AddPlugin(context.WithValue(t.Context(), callKey{}, "push"), id, upload)
		return err
	}
	if err := push(acme); err != nil {
		t.Fatal(err)
	}
	if got := spent["push"]; got.Fuel == 0 || got.Compute == 0 || box.CoreTime(string(acme)) == 0 {
		t.Errorf("the push was paid with %+v, and its tenant had a core for %v", got, box.CoreTime(string(acme)))
	}
	_, _, err = h.Publish(context.WithValue(t.Context(), callKey{}, "publish"), acme, control.PublishParams{Document: []byte(`
graph: dot
inputs: {a: {type: tensor, dtype: FP32, shape: [n]}, b: {type: tensor, dtype: FP32, shape: [n]}}
outputs: {y: {from: d.y}}
nodes:
  d: {plugin: values, call: dot, in: {a: a, b: b}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	if got := spent["publish"]; got.Fuel == 0 || got.Compute == 0 {
		t.Errorf("the publication was paid with %+v", got)
	}
	var lack *sandbox.TenantMemoryError
	if err := push(other); !errors.As(err, &lack) || lack.Limit != limit {
		t.Errorf("got %v, want that its tenant has too little memory", err)
	}
}
