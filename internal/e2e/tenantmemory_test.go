package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// wantQuota makes sure that a call was refused for want of a quota, with all that a caller needs to know. Who is in debt wanted nothing.
func wantQuota(t *testing.T, err error, name string, limit int64) {
	t.Helper()
	d := client.Detail(err)
	q := d.GetQuota()
	if connect.CodeOf(err) != connect.CodeResourceExhausted || d.GetReason() != tandemv1.Reason_REASON_QUOTA_EXCEEDED || q.GetQuota() != name ||
		q.GetLimit() != limit || q.GetUse() < 0 || q.GetUse()+max(q.GetNeed(), 1) <= limit || d.GetRetryAfter().AsDuration() <= 0 {
		t.Errorf("got %v (%v), want quota %s of %d, its use and when to try again", err, d, name, limit)
	}
}

// TestPluginMemoryOfATenant has a plugin take memory until it gets no more: the tenant is told which limit that is, its next call
// goes well, and what it has is shown.
func TestPluginMemoryOfATenant(t *testing.T) {
	const limit = 8 << 20
	s := start(t, rig.Options{})
	c, _ := newTenantWithKey(t, s, "acme", &tandemv1.TenantLimits{PluginMemoryBytes: limit})
	pushHostile(t, c)
	ctx := bounded(t)
	for range 3 {
		_, err := c.Infer(ctx, "memory", mode(1))
		wantQuota(t, err, "plugin_memory_bytes", limit)
		if _, err := c.Infer(ctx, "memory", mode(5)); err != nil {
			t.Errorf("a call that takes little: %v", err)
		}
	}
	shown, err := c.Tenants.GetTenant(ctx, &tandemv1.GetTenantRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := shown.GetTenant().GetUse().GetPluginMemoryBytes(); got <= 0 || got > limit {
		t.Errorf("its plugins have %d bytes, want some and at most %d", got, limit)
	}
}

// TestGiantAnswersAreCounted asks for the same megabytes many times in one answer, from several places at once: what is on its way
// out counts among the tenant's bytes in flight, who asks for more is told so, and everything comes back.
func TestGiantAnswersAreCounted(t *testing.T) {
	const limit = 48 << 20
	s := start(t, rig.Options{})
	c, _ := newTenantWithKey(t, s, "acme", &tandemv1.TenantLimits{BytesInFlight: limit})
	ctx := bounded(t)
	for name, times := range map[string]int{"large": 8, "giant": 32} {
		outputs := make([]string, times)
		for i := range outputs {
			outputs[i] = fmt.Sprintf("o%d: {from: text}", i)
		}
		mustPublish(t, c, "graph: "+name+"\ninputs: {text: text}\noutputs: {"+strings.Join(outputs, ", ")+"}\n")
	}
	in := map[string]*tandemv1.Value{"text": client.Text(strings.Repeat("x", 2<<20))}
	for range 3 {
		_, err := c.Infer(ctx, "giant", in)
		wantQuota(t, err, "bytes_in_flight", limit)
		if _, err := c.Infer(ctx, "large", in); err != nil {
			t.Errorf("an answer that fits: %v", err)
		}
	}
	var wg sync.WaitGroup
	var served atomic.Int64
	for range 8 {
		wg.Go(func() {
			if _, err := c.Infer(ctx, "large", in); err == nil {
				served.Add(1)
			} else {
				wantQuota(t, err, "bytes_in_flight", limit)
			}
		})
	}
	wg.Wait()
	shown, err := c.Tenants.GetTenant(ctx, &tandemv1.GetTenantRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := shown.GetTenant().GetUse().GetBytesInFlight(); got > 1<<20 || served.Load() == 0 {
		t.Errorf("afterwards %d bytes are in flight, and %d of 8 were served", got, served.Load())
	}
}

// TestShadowsCountForTheirTenant has the shadow of a small request make far more than its tenant may hold, which had the server take
// gigabytes: the caller gets its answer, the shadow ends like any that fails, one that fits goes well, and everything comes back. What a
// shadow reads counts while it runs, the body of the request included.
func TestShadowsCountForTheirTenant(t *testing.T) {
	const size, limit = 4 << 20, 24 << 20
	s := start(t, rig.Options{Args: []string{"--request-memory=256"}})
	c, _ := newTenantWithKey(t, s, "acme", &tandemv1.TenantLimits{BytesInFlight: limit})
	pushFile(t, c, "plugin", "values", "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
	for _, name := range []string{"fits", "grows"} {
		mustPublish(t, c, `
graph: `+name+`
inputs: {notes: list of text, text: text}
outputs: {notes: {from: notes}}
nodes:
  copies: {plugin: values, call: copy, each: notes, in: {bytes: notes, text: text}, shadow: true}
`)
	}
	note, text := []*tandemv1.Value{client.Text("n")}, client.Text(strings.Repeat("x", size))
	for i := range 3 {
		for name, items := range map[string]int{"fits": 2, "grows": 64} {
			in := map[string]*tandemv1.Value{"notes": client.List(slices.Repeat(note, items)...), "text": text}
			if _, err := c.Infer(bounded(t), name, in); err != nil {
				t.Fatal(err)
			}
			waitForShadows(t, s, name, map[string]string{"fits": "done", "grows": "failed"}[name], i+1)
		}
	}
	shown, err := c.Tenants.GetTenant(bounded(t), &tandemv1.GetTenantRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := shown.GetTenant().GetUse().GetBytesInFlight(); got > 1<<20 {
		t.Errorf("afterwards %d bytes are in flight", got)
	}
}
