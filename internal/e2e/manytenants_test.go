package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestManyTenants gives many tenants a plugin, a model and a graph each, starts the server again, and prints how long that took,
// what a tenant costs that does nothing, how long first calls take, and what they take after that. TANDEM_TENANTS says how
// many; what is asserted is that every one of them gets its own right answer.
func TestManyTenants(t *testing.T) {
	n := 10
	if text := os.Getenv("TANDEM_TENANTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	data := t.TempDir()
	ctx := t.Context()
	s, err := rig.Start(ctx, rig.Options{Root: root(t), Data: data})
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, n)
	began := time.Now()
	for i := range n {
		var c *client.Client
		c, keys[i] = newTenantWithKey(t, s, fmt.Sprintf("t%d", i), nil)
		furnishSum(t, c, i)
	}
	t.Logf("%d tenants with a plugin, a model and a graph each: made in %v", n, time.Since(began).Round(time.Millisecond))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	empty := start(t, rig.Options{})
	began = time.Now()
	s, err = rig.Start(ctx, rig.Options{Root: root(t), Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Server.GetServerInfo(ctx, &tandemv1.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("started again in %v", time.Since(began).Round(time.Millisecond))
	more := residentKiB(t, s.PID()) - residentKiB(t, empty.PID())
	t.Logf("a tenant that does nothing: %.1f KiB of resident memory", float64(more)/float64(n))

	for _, round := range []string{"cold", "warm"} {
		took := make([]time.Duration, n)
		for i, key := range keys {
			c, err := client.New(s.URL, client.WithKey(key))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			res, err := c.Infer(ctx, "sum", map[string]*tandemv1.Value{
				"a": client.Float32s([]int64{1, 3}, []float32{float32(i), 0, 0}), "u": client.Float32s([]int64{3}, []float32{float32(i), 0, 0}),
			})
			took[i] = time.Since(began)
			if err != nil {
				t.Fatalf("tenant %d, %s: %v", i, round, err)
			}
			for name, want := range map[string]*tandemv1.Value{
				"y": client.Float32s(nil, []float32{float32(i * i)}), "s": client.Float32s([]int64{1, 3}, []float32{float32(2 * i), 0, 0}),
			} {
				if got := res.GetOutputs()[name].GetTensor().GetData(); !bytes.Equal(got, want.GetTensor().GetData()) {
					t.Errorf("tenant %d: %s is %v", i, name, got)
				}
			}
		}
		slices.Sort(took)
		t.Logf("%s calls, one tenant after the other: p50 %v, p99 %v", round, took[n/2].Round(10*time.Microsecond), took[n*99/100].Round(10*time.Microsecond))
	}
	t.Logf("after all have called: %.1f KiB of resident memory for each in the server's process", float64(residentKiB(t, s.PID())-residentKiB(t, empty.PID()))/float64(n))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// furnishSum gives a tenant a graph "sum" over a model and a plugin: s is twice a, y the square of u.
func furnishSum(t *testing.T, c *client.Client, i int) {
	t.Helper()
	ctx := bounded(t)
	model, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PushModel(ctx, "add", bytes.NewReader(model), int64(len(model))); err != nil {
		t.Fatalf("tenant %d: %v", i, err)
	}
	wasm, err := os.ReadFile(filepath.Join(root(t), "host", "sandbox", "sandboxtest", "testdata", "values.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PushPlugin(ctx, "values", bytes.NewReader(wasm), int64(len(wasm))); err != nil {
		t.Fatalf("tenant %d: %v", i, err)
	}
	if _, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: `
graph: sum
inputs:
  a: {type: tensor, dtype: FP32, shape: [1, 3]}
  u: {type: tensor, dtype: FP32, shape: [3]}
outputs: {s: {from: m.sum}, y: {from: d.y}}
nodes:
  m: {model: add, in: {a: a, b: a}}
  d: {plugin: values, call: dot, in: {a: u, b: u}}
`}); err != nil {
		t.Fatalf("tenant %d: %v", i, err)
	}
}

func residentKiB(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Skipf("resident memory is not to be had here: %v", err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize()) / 1024
}
