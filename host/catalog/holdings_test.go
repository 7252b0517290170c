package catalog_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestHoldingsAndPurge(t *testing.T) {
	c := open(t, catalog.Config{Dir: t.TempDir()})
	ctx := t.Context()
	for _, id := range []tenant.ID{"acme", "other"} {
		want(t, "put tenant", c.PutTenant(ctx, tenant.Tenant{ID: id}), nil)
		k, _ := newKey(id)
		want(t, "put key", c.PutKey(ctx, k), nil)
		for _, m := range []struct{ name, content string }{{"m", "1"}, {"m", "2"}, {"n", "2"}} {
			_, err := c.PutModel(ctx, id, catalog.ModelParams{Name: m.name, Digest: digest(m.content), Size: 10, Signature: []byte("{}")})
			want(t, "put model", err, nil)
		}
		_, err := c.PublishGraph(ctx, id, catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: []catalog.Pin{
			{Kind: catalog.KindModel, Name: "m", Version: 1, Digest: digest("1")},
		}})
		want(t, "publish", err, nil)
	}
	full := catalog.Holdings{
		Objects:      map[catalog.ObjectName]struct{}{{Kind: "model", Name: "m"}: {}, {Kind: "model", Name: "n"}: {}, {Kind: "graph", Name: "g"}: {}},
		Blobs:        map[blob.Digest]int64{digest("1"): 10, digest("2"): 10},
		ReleaseBytes: storedBytes(t, c, "release.acme.>"),
	}
	holds := func(id tenant.ID, want catalog.Holdings) {
		t.Helper()
		got, err := c.Holdings(ctx, id)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", id, err, diff)
		}
	}
	holds("acme", full)
	for range 2 { // the second time there is nothing, as after a crash half-way
		want(t, "purge", c.PurgeTenant(ctx, "acme"), nil)
	}
	want(t, "delete", c.DeleteTenant(ctx, "acme"), nil)
	holds("acme", catalog.Holdings{})
	if ks, err := c.ListKeys(ctx, "acme"); err != nil || len(ks) != 0 {
		t.Errorf("after the purge: keys %+v, %v", ks, err)
	}
	_, err := c.GetTenant(ctx, "acme")
	want(t, "get", err, tenant.ErrNotFound)
	full.ReleaseBytes = storedBytes(t, c, "release.other.>")
	holds("other", full)
	// A tenant of the same name begins with nothing, not even with version numbers.
	want(t, "create again", c.CreateTenant(ctx, tenant.Tenant{ID: "acme"}), nil)
	want(t, "create twice", c.CreateTenant(ctx, tenant.Tenant{ID: "acme"}), tenant.ErrExists)
	m, err := c.PutModel(ctx, "acme", catalog.ModelParams{Name: "m", Digest: digest("1"), Size: 10, Signature: []byte("{}")})
	if err != nil || m.Version != 1 {
		t.Errorf("got version %d, %v", m.Version, err)
	}
}

// storedBytes returns what the records that match pattern take.
func storedBytes(t *testing.T, c *catalog.Catalog, pattern string) int64 {
	t.Helper()
	keys, err := c.Keys(t.Context(), pattern)
	want(t, "keys", err, nil)
	var n int64
	for _, k := range keys {
		data, err := c.GetRaw(t.Context(), k)
		want(t, "get "+k, err, nil)
		n += int64(len(data))
	}
	return n
}

// A release weighs what its record takes; what changes nothing weighs nothing.
func TestWeigh(t *testing.T) {
	c := open(t, catalog.Config{Dir: t.TempDir()})
	ctx := t.Context()
	var total int64
	for i := range 3 {
		p := catalog.ReleaseParams{Name: "g", Document: fmt.Appendf(nil, "document %d", i), Stage: i == 2}
		n, err := c.Weigh(ctx, "acme", p)
		want(t, "weigh", err, nil)
		total += n
		_, err = c.PublishGraph(ctx, "acme", p)
		want(t, "publish", err, nil)
		if again, err := c.Weigh(ctx, "acme", p); err != nil || again != 0 {
			t.Errorf("published already: weighs %d, %v", again, err)
		}
		h, err := c.Holdings(ctx, "acme")
		if stored := storedBytes(t, c, "release.acme.>"); err != nil || h.ReleaseBytes != stored || max(stored-total, total-stored) > 30 { // the time's digits
			t.Errorf("got %d bytes, %v, weighed %d, stored are %d", h.ReleaseBytes, err, total, stored)
		}
	}
	_, err := c.Weigh(ctx, "acme", catalog.ReleaseParams{Name: "g"})
	want(t, "no document", err, catalog.ErrLimit)
}

// leaving is a context that ends when it has been asked for its end so many times.
type leaving struct {
	context.Context
	cancel func()
	after  int
}

func (l *leaving) Done() <-chan struct{} {
	if l.after--; l.after == 0 {
		l.cancel()
	}
	return l.Context.Done()
}

// A publisher that leaves, at whatever moment, leaves no record that no graph names.
func TestPublisherThatLeavesLeavesNothing(t *testing.T) {
	c := open(t, catalog.Config{Dir: t.TempDir()})
	for after := 1; ; after++ {
		ctx, cancel := context.WithCancel(t.Context())
		l := &leaving{ctx, cancel, after}
		_, _ = c.PublishGraph(l, "acme", catalog.ReleaseParams{Name: "g", Document: fmt.Appendf(nil, "document %d", after)})
		left := ctx.Err() != nil
		cancel()
		h, err := c.Holdings(t.Context(), "acme")
		if stored := storedBytes(t, c, "release.acme.>"); err != nil || stored != h.ReleaseBytes {
			t.Fatalf("left at %d: %d bytes are stored, %d are named, %v", after, stored, h.ReleaseBytes, err)
		}
		if !left {
			return
		}
	}
}
