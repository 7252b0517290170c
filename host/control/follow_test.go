package control_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
)

// second is another server on the catalog and the blobs of h.
func (h *house) second(t *testing.T) *house {
	t.Helper()
	box, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	other := &house{blobs: h.blobs, catalog: h.catalog, models: &models{}, engine: engine.New(engine.Config{})}
	other.Manager = control.New(control.Config{
		Catalog: h.catalog, Blobs: h.blobs, Sandbox: box, Models: other.models, Logger: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- other.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		other.Close()
		if err := box.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return other
}

// TestOtherServersFollow moves the calls of a graph on one server and calls another one: it follows without being asked,
// and lets go of what calls do not go to any more.
func TestOtherServersFollow(t *testing.T) {
	h := newHouse(t, 0)
	b := h.second(t)
	h.addModel(t, acme, "add", "model")
	h.publish(t, "one", false)
	if v := b.version(t, control.Call{}); v != 1 {
		t.Fatalf("got release %d", v)
	}
	eventually := func(what string, want int) {
		t.Helper()
		wait(t, what, func() bool { return b.version(t, control.Call{}) == want })
	}
	h.publish(t, "two", false)
	eventually("publish", 2)
	h.publish(t, "three", true)
	if _, err := h.SetCanary(t.Context(), acme, "g", control.CanaryParams{Ref: "3", Percent: 100}); err != nil {
		t.Fatal(err)
	}
	eventually("canary", 3)
	if _, err := h.AbortCanary(t.Context(), acme, "g"); err != nil {
		t.Fatal(err)
	}
	eventually("abort", 2)
	if _, err := b.Rollback(t.Context(), acme, "g", ""); err != nil { // the other way round
		t.Fatal(err)
	}
	eventually("roll-back", 1)
	if _, err := h.DeleteGraph(t.Context(), acme, "g", ""); err != nil {
		t.Fatal(err)
	}
	wait(t, "deletion", func() bool { return b.models.open.Load() == 0 })
}

// wait waits until a server has followed the catalog: how soon it is told is the store's to say.
func wait(t *testing.T, what string, followed func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !followed(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: the server has not followed", what)
		}
	}
}
