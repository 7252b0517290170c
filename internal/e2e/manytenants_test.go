package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// tenantCrowd is many tenants of one server, with their keys.
type tenantCrowd struct {
	url  string
	keys []string
}

// TestManyTenants gives many tenants a plugin, a model and a graph each, starts the server again, and prints how long that took,
// what a tenant costs that does nothing, how long first calls take, and how calls fare that are spread over all of them.
// TANDEM_TENANTS says how many, TANDEM_STEADY for how long calls are spread; what is asserted is that every one of them gets its own
// right answer.
func TestManyTenants(t *testing.T) {
	n, steady := 10, time.Second
	if text := os.Getenv("TANDEM_TENANTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("TANDEM_STEADY"); text != "" {
		var err error
		if steady, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	data := t.TempDir()
	ctx := t.Context()
	s, err := rig.Start(ctx, rig.Options{Root: root(t), Data: data})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	crowd := &tenantCrowd{keys: gather(t, s, n)}
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
	crowd.url = s.URL
	t.Logf("started again in %v", time.Since(began).Round(time.Millisecond))
	more := residentKiB(t, s.PID()) - residentKiB(t, empty.PID())
	t.Logf("a tenant that does nothing: %.1f KiB of resident memory", float64(more)/float64(n))
	if n >= 100 && more > idleTenantKiB*int64(n) { // with less, what the server itself takes more or less of is more
		t.Errorf("%d tenants that do nothing take %d KiB, want at most %d each", n, more, idleTenantKiB)
	}

	cold, warm := make([]time.Duration, n), make([]time.Duration, n)
	for i := range n {
		for _, took := range [][]time.Duration{cold, warm} {
			if took[i], err = crowd.call(ctx, i); err != nil {
				t.Fatalf("tenant %d: %v", i, err)
			}
		}
	}
	t.Logf("first calls, one tenant after the other: %s", quantiles(cold))
	t.Logf("second calls: %s", quantiles(warm))
	t.Logf("after all have called: %.1f KiB of resident memory for each in the server's process", float64(residentKiB(t, s.PID())-residentKiB(t, empty.PID()))/float64(n))
	crowd.spread(t, "over all tenants alike", steady, func(r *rand.Rand) int { return r.IntN(n) })
	crowd.spread(t, "nine of ten over a fiftieth of the tenants", steady, func(r *rand.Rand) int {
		if r.IntN(10) > 0 {
			return r.IntN(max(n/50, 1))
		}
		return r.IntN(n)
	})
	t.Logf("at the end: %d MiB of resident memory in the server's process", residentKiB(t, s.PID())>>10)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// idleTenantKiB is what a tenant that does nothing may take of the server's memory.
const idleTenantKiB = 256

// gather makes n tenants, some at once, each with a plugin and a model that nobody else has, and returns their keys.
func gather(t *testing.T, s *rig.Server, n int) []string {
	t.Helper()
	model := readFile(t, "runners", "onnx", "testdata", "add_sub.onnx")
	wasm := readFile(t, "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
	keys, errs := make([]string, n), make([]error, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range next {
				name := fmt.Sprintf("t%d", i)
				keys[i], errs[i] = admit(t.Context(), s, name, documented(model, name), labelled(wasm, name))
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("tenant %d: %v", i, err)
		}
	}
	return keys
}

// labelled returns the module with a custom section of that name, which makes it another one.
func labelled(wasm []byte, name string) []byte {
	section := append([]byte{byte(len(name))}, name...)
	return append(append(bytes.Clone(wasm), 0, byte(len(section))), section...)
}

// documented returns the model with a documentation, which makes it another one: field 6 of ModelProto, of which the last counts.
func documented(model []byte, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(bytes.Clone(model), 6, protowire.BytesType), text)
}

// admit makes a tenant with a graph "sum" over a model and a plugin: s is twice a, y the square of u. It returns its admin's key.
func admit(ctx context.Context, s *rig.Server, name string, model, wasm []byte) (string, error) {
	if _, err := s.Client.Tenants.CreateTenant(ctx, &tandemv1.CreateTenantRequest{Name: name}); err != nil {
		return "", err
	}
	key, err := s.Client.Tenants.CreateKey(ctx, &tandemv1.CreateKeyRequest{Tenant: name, Role: tandemv1.Role_ROLE_ADMIN})
	if err != nil {
		return "", err
	}
	c, err := client.New(s.URL, client.WithKey(key.GetPlain()))
	if err != nil {
		return "", err
	}
	if _, err := c.PushModel(ctx, "add", bytes.NewReader(model), int64(len(model))); err != nil {
		return "", err
	}
	if _, err := c.PushPlugin(ctx, "values", bytes.NewReader(wasm), int64(len(wasm))); err != nil {
		return "", err
	}
	_, err = c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: `
graph: sum
inputs:
  a: {type: tensor, dtype: FP32, shape: [1, 3]}
  u: {type: tensor, dtype: FP32, shape: [3]}
outputs: {s: {from: m.sum}, y: {from: d.y}}
nodes:
  m: {model: add, in: {a: a, b: a}}
  d: {plugin: values, call: dot, in: {a: u, b: u}}
`})
	return key.GetPlain(), err
}

// call calls tenant i's graph and checks the answer, which is the tenant's own.
func (w *tenantCrowd) call(ctx context.Context, i int) (time.Duration, error) {
	c, err := client.New(w.url, client.WithKey(w.keys[i]))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	res, err := c.Infer(ctx, "sum", map[string]*tandemv1.Value{
		"a": client.Float32s([]int64{1, 3}, []float32{float32(i), 0, 0}), "u": client.Float32s([]int64{3}, []float32{float32(i), 0, 0}),
	})
	took := time.Since(began)
	if err != nil {
		return took, err
	}
	for name, want := range map[string]*tandemv1.Value{
		"y": client.Float32s(nil, []float32{float32(i * i)}), "s": client.Float32s([]int64{1, 3}, []float32{float32(2 * i), 0, 0}),
	} {
		if got := res.GetOutputs()[name].GetTensor().GetData(); !bytes.Equal(got, want.GetTensor().GetData()) {
			return took, fmt.Errorf("%s is %v", name, got)
		}
	}
	return took, nil
}

// spread calls tenants that pick chooses, from four places at once, for a while.
func (w *tenantCrowd) spread(t *testing.T, what string, d time.Duration, pick func(*rand.Rand) int) {
	t.Helper()
	var mu sync.Mutex // guards all
	var all []time.Duration
	began := time.Now()
	var wg sync.WaitGroup
	for place := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(place))) // the same calls in every run
			for time.Since(began) < d {
				i := pick(r)
				took, err := w.call(t.Context(), i)
				if err != nil {
					t.Errorf("%s: tenant %d: %v", what, i, err)
					return
				}
				mu.Lock()
				all = append(all, took)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("calls spread %s, 4 at once: %.1f a second, %s", what, float64(len(all))/time.Since(began).Seconds(), quantiles(all))
}

// quantiles says how long calls took.
func quantiles(took []time.Duration) string {
	if len(took) == 0 {
		return "none"
	}
	slices.Sort(took)
	return fmt.Sprintf("%d, p50 %v, p99 %v", len(took), took[len(took)/2].Round(10*time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond))
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
