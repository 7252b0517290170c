package control_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
)

// TestMain makes this binary a compiler of plugins when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "child-compile" {
		os.Exit(sandbox.CompileChild(context.Background(), os.Stdin, os.Args[2], os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// models loads a scripted model for every file that does not begin with "bad", unless it is broken.
type models struct {
	open, loads, most atomic.Int64
	broken            atomic.Bool

	gate atomic.Pointer[gate]  // loads wait at it
	fail atomic.Pointer[error] // loads fail with it

	mu   sync.Mutex     // guards the following
	with map[string]int // threads of the last load, by label
}

// gate holds up loads.
type gate struct {
	arrived chan struct{} // takes a word of each that arrives
	open    chan struct{} // closed to let them on
}

func (m *models) Check(model []byte) error {
	if bytes.HasPrefix(model, []byte("bad")) {
		return fmt.Errorf("%w: it says so itself", runners.ErrModel)
	}
	return nil
}

func (m *models) Load(_ context.Context, p control.LoadParams) (runners.Runner, control.ModelInfo, error) {
	if gate := m.gate.Load(); gate != nil {
		gate.arrived <- struct{}{}
		<-gate.open
	}
	if err := m.fail.Load(); err != nil {
		return nil, control.ModelInfo{}, *err
	}
	if m.broken.Load() || bytes.HasPrefix(p.Model, []byte("unloadable")) {
		return nil, control.ModelInfo{}, fmt.Errorf("%w: no such operator", runners.ErrModel)
	}
	m.loads.Add(1)
	m.most.Store(max(m.most.Load(), m.open.Add(1))) // near enough: it is looked at when nothing loads
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.with == nil {
		m.with = map[string]int{}
	}
	m.with[p.Label] = p.Threads
	return fake.New(m.script(p)), control.ModelInfo{Producer: "test", Opset: 17}, nil
}

// script returns what the file says: it adds and subtracts, and may fail or take its time.
func (m *models) script(p control.LoadParams) fake.Script {
	s := fake.AddSub()
	s.Closed = func() { m.open.Add(-1) }
	switch {
	case bytes.HasPrefix(p.Model, []byte("unrunnable")):
		s.Compute = func(context.Context, []runners.Tensor) ([]runners.Tensor, error) {
			return nil, fmt.Errorf("%w: it was told to", runners.ErrRun)
		}
	case bytes.HasPrefix(p.Model, []byte("gains by threads")):
		s.Takes = func([]runners.Tensor) time.Duration {
			if p.Threads == 1 {
				return 80 * time.Millisecond // so much more that a busy machine does not hide it
			}
			return 5 * time.Millisecond
		}
	case bytes.HasPrefix(p.Model, []byte("gains nothing")):
		s.Takes = func([]runners.Tensor) time.Duration { return 5 * time.Millisecond }
	}
	return s
}

// threads returns the threads that a model was last loaded with.
func (m *models) threads(t *testing.T, label string) int {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.with[label]
}

// house is a manager over real stores in a temporary folder.
type house struct {
	*control.Manager
	blobs   *blob.Dir
	catalog *catalog.Catalog
	models  *models
	engine  *engine.Engine
}

func newHouse(t *testing.T, maxLoaded int) *house {
	t.Helper()
	return newHouseOf(t, control.Config{MaxLoaded: maxLoaded})
}

// newHouseOf fills in what a configuration lacks; a sandbox in it is the house's.
func newHouseOf(t *testing.T, cfg control.Config) *house {
	t.Helper()
	return newHouseIn(t, t.TempDir(), cfg)
}

func newHouseIn(t testing.TB, dir string, cfg control.Config) *house {
	t.Helper()
	ctx := t.Context()
	log := slog.New(slog.DiscardHandler)
	blobs, err := blob.OpenDir(ctx, blob.Config{Dir: filepath.Join(dir, "blobs")})
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Open(ctx, catalog.Config{Dir: filepath.Join(dir, "catalog"), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []tenant.ID{acme, other} {
		if err := cat.PutTenant(ctx, tenant.Tenant{ID: id, Limits: tenant.Unlimited()}); err != nil {
			t.Fatal(err)
		}
	}
	box := cfg.Sandbox
	if box == nil {
		if box, err = sandbox.New(ctx, sandbox.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	h := &house{blobs: blobs, catalog: cat, models: &models{}, engine: engine.New(engine.Config{})}
	cfg.Catalog, cfg.Blobs, cfg.Sandbox, cfg.Models, cfg.Logger = cat, blobs, box, h.models, log
	h.Manager = control.New(cfg)
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- h.Run(run) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		h.Close()
		if n := h.models.open.Load(); n != 0 {
			t.Errorf("%d models are still open", n)
		}
		bg := context.WithoutCancel(ctx)
		if err := errors.Join(box.Close(bg), cat.Close(bg), blobs.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// upload puts bytes up for a name and returns the upload's id.
func (h *house) upload(t *testing.T, ten tenant.ID, kind, name string, data []byte) string {
	t.Helper()
	sum := sha256.Sum256(data)
	up, err := h.blobs.Begin(t.Context(), blob.UploadParams{
		Owner: ten, Kind: kind, Name: name, Size: int64(len(data)), Digest: blob.Digest("sha256:" + hex.EncodeToString(sum[:])),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.blobs.Append(t.Context(), ten, up.ID, 0, data, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))); err != nil {
		t.Fatal(err)
	}
	return up.ID
}

func (h *house) addModel(t *testing.T, ten tenant.ID, name, content string) catalog.Model {
	t.Helper()
	m, err := h.AddModel(t.Context(), ten, h.upload(t, ten, control.UploadModel, name, []byte(content)), control.Serving{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sum is a graph over the model "add"; doc makes two of them differ.
func sum(name, doc string) []byte {
	return fmt.Appendf(nil, `
graph: %s
doc: %q
inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}}
outputs: {s: {from: m.sum}}
nodes:
  m: {model: add, in: {a: a, b: b}}
`, name, doc)
}

// infer calls a graph once and returns the release that answered.
func (h *house) infer(ctx context.Context, ten tenant.ID, ref string) (int, error) {
	lease, err := h.Acquire(ctx, ten, ref, control.Call{})
	if err != nil {
		return 0, err
	}
	defer lease.Done()
	x := value.Tensor(abi.FP32, []int64{1, 3}, make([]byte, 12))
	res, err := h.engine.Run(ctx, lease.Release, engine.Request{Inputs: map[string]value.Value{"a": x, "b": x}})
	if err == nil {
		res.Release()
	}
	return lease.Release.Version, err
}

const acme, other tenant.ID = "acme", "other"

func TestPublishAndCall(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model 1")
	rel, plan, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", "one")})
	if err != nil || rel.Version != 1 || plan.Name != "g" || len(rel.Pins) != 1 || rel.Pins[0].Version != 1 {
		t.Fatalf("got release %+v, %v", rel, err)
	}
	if again, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", "one")}); err != nil || again.Version != 1 {
		t.Fatalf("publishing the same again gave version %d, %v", again.Version, err)
	}
	if v, err := h.infer(t.Context(), acme, "g"); err != nil || v != 1 {
		t.Fatalf("got release %d, %v", v, err)
	}
	// A new model changes nothing that is published; publishing again pins it.
	h.addModel(t, acme, "add", "model 2")
	rel, _, err = h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", "one")})
	if err != nil || rel.Version != 2 || rel.Pins[0].Version != 2 {
		t.Fatalf("got release %+v, %v", rel, err)
	}
	for ref, want := range map[string]int{"g": 2, "g@1": 1, "g@2": 2} {
		if v, err := h.infer(t.Context(), acme, ref); err != nil || v != want {
			t.Errorf("%s: got release %d, %v, want %d", ref, v, err, want)
		}
	}
	if _, err := h.infer(t.Context(), other, "g"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("another tenant got %v, want ErrNotFound", err)
	}
	if _, err := h.DeleteGraph(t.Context(), acme, "g", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.infer(t.Context(), acme, "g"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("after deletion: got %v, want ErrNotFound", err)
	}
}

func TestWhatFailsChangesNothing(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model")
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", "")}); err != nil {
		t.Fatal(err)
	}
	var faults graph.Faults
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: []byte(strings.ReplaceAll(string(sum("g", "")), "add", "ad"))}); !errors.As(err, &faults) {
		t.Errorf("got %v, want faults", err)
	}
	for content, want := range map[string]error{"bad model": runners.ErrModel, "unloadable": runners.ErrModel} {
		if _, err := h.AddModel(t.Context(), acme, h.upload(t, acme, control.UploadModel, "add", []byte(content)), control.Serving{}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", content, err, want)
		}
	}
	var reject *sandbox.RejectError
	if _, err := h.AddPlugin(t.Context(), acme, h.upload(t, acme, control.UploadPlugin, "p", []byte("no wasm"))); !errors.As(err, &reject) {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := h.AddModel(t.Context(), acme, h.upload(t, acme, control.UploadPlugin, "p", []byte("x")), control.Serving{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a plugin's upload became a model: %v", err)
	}
	if _, err := h.AddModel(t.Context(), other, h.upload(t, acme, control.UploadModel, "add", []byte("y")), control.Serving{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("another tenant finished an upload: %v", err)
	}
	if v, err := h.infer(t.Context(), acme, "g"); err != nil || v != 1 {
		t.Errorf("got release %d, %v, want 1", v, err)
	}
}

// TestPublishUnderLoad swaps releases while eight callers call: none may fail, and old releases are closed.
func TestPublishUnderLoad(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model")
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", "0")}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var calls atomic.Int64
	for range 8 {
		callers.Go(func() {
			last := 0
			for ctx.Err() == nil {
				v, err := h.infer(context.WithoutCancel(ctx), acme, "g")
				if err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
				if v < last {
					t.Errorf("release %d answered after %d", v, last)
				}
				last = v
				calls.Add(1)
			}
		})
	}
	publishes := 200
	if testing.Short() {
		publishes = 20
	}
	for i := range publishes {
		if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", fmt.Sprint(i+1))}); err != nil {
			t.Errorf("publish %d: %v", i, err)
		}
	}
	stop()
	callers.Wait()
	t.Logf("%d publishes under %d calls", publishes, calls.Load())
	if calls.Load() == 0 {
		t.Error("nobody called")
	}
	if n := h.models.open.Load(); n != 1 {
		t.Errorf("%d models are open, want the one that the current release runs", n)
	}
}

func TestFewAreLoaded(t *testing.T) {
	h := newHouse(t, 2)
	h.addModel(t, acme, "add", "model")
	for i := range 5 {
		if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum(fmt.Sprintf("g%d", i), "")}); err != nil {
			t.Fatal(err)
		}
	}
	var callers sync.WaitGroup
	for i := range 5 {
		callers.Go(func() {
			for range 10 {
				if _, err := h.infer(t.Context(), acme, fmt.Sprintf("g%d", i)); err != nil && !strings.Contains(err.Error(), "too many releases") {
					t.Errorf("g%d: %v", i, err)
				}
			}
		})
	}
	callers.Wait()
}

// A tenant that has many releases loaded makes room for more among its own, whatever others called last.
func TestTenantsKeepWhatTheyHaveLoaded(t *testing.T) {
	h := newHouse(t, 3)
	for _, ten := range []tenant.ID{other, acme} {
		h.addModel(t, ten, "add", "model")
	}
	if _, _, err := h.Publish(t.Context(), other, control.PublishParams{Document: sum("g", "")}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum(fmt.Sprintf("g%d", i), "")}); err != nil {
			t.Fatal(err)
		}
	}
	loads := h.models.loads.Load()
	if _, err := h.infer(t.Context(), other, "g"); err != nil {
		t.Fatal(err)
	}
	if n := h.models.loads.Load() - loads; n != 0 {
		t.Errorf("a release was loaded again (%d models), which another tenant's had displaced", n)
	}
}

func TestTenantsShareNothingLoaded(t *testing.T) {
	h := newHouse(t, 0)
	for _, ten := range []tenant.ID{acme, other} {
		h.addModel(t, ten, "add", "the same model")
		if _, _, err := h.Publish(t.Context(), ten, control.PublishParams{Document: sum("g", "")}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.infer(t.Context(), ten, "g"); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.models.open.Load(); n != 2 {
		t.Errorf("%d models are open, want one for each tenant", n)
	}
}

func TestPluginsAreWarmedAtPublish(t *testing.T) {
	h := newHouse(t, 0)
	if _, err := h.AddPlugin(t.Context(), acme, h.upload(t, acme, control.UploadPlugin, "values", sandboxtest.Module(t, "values"))); err != nil {
		t.Fatal(err)
	}
	rel, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: []byte(`
graph: dot
inputs: {a: {type: tensor, dtype: FP32, shape: [n]}, b: {type: tensor, dtype: FP32, shape: [n]}}
outputs: {y: {from: d.y}}
nodes:
  d: {plugin: values, call: dot, in: {a: a, b: b}}
`)})
	if err != nil || rel.Pins[0].Kind != catalog.KindPlugin {
		t.Fatalf("got %+v, %v", rel, err)
	}
	lease, err := h.Acquire(t.Context(), acme, "dot", control.Call{})
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Done()
	x := value.Tensor(abi.FP32, []int64{1}, []byte{0, 0, 0, 0x40}) // 2
	res, err := h.engine.Run(t.Context(), lease.Release, engine.Request{Inputs: map[string]value.Value{"a": x, "b": x}})
	if err != nil || !bytes.Equal(res.Outputs["y"].Data, []byte{0, 0, 0x80, 0x40}) { // 4
		t.Fatalf("got %v, %v", res, err)
	}
}

// TestInnerGraphsKeepTheirPins publishes a graph in a graph, between them a new version of the model that both name: each
// runs the version that it was published with, also after it was loaded again.
func TestInnerGraphsKeepTheirPins(t *testing.T) {
	h := newHouse(t, 1)
	h.addModel(t, acme, "add", "model 1")
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("inner", "")}); err != nil {
		t.Fatal(err)
	}
	h.addModel(t, acme, "add", "model 2")
	outer := []byte(`
graph: outer
inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}}
outputs: {s: {from: m.sum}, t: {from: sub.s}}
nodes:
  m:   {model: add, in: {a: a, b: b}}
  sub: {graph: inner, in: {a: a, b: b}}
`)
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: outer}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		lease, err := h.Acquire(t.Context(), acme, "outer", control.Call{})
		if err != nil {
			t.Fatal(err)
		}
		x := value.Tensor(abi.FP32, []int64{1, 3}, make([]byte, 12))
		res, err := h.engine.Run(t.Context(), lease.Release, engine.Request{Inputs: map[string]value.Value{"a": x, "b": x}, Trace: true})
		lease.Done()
		if err != nil || len(res.Outputs) != 2 {
			t.Fatalf("got %v, %v", res, err)
		}
		for _, n := range res.Trace.Nodes {
			if n.Node == "m" && n.Target != "model add@2" {
				t.Errorf("the outer graph runs %s, want model add@2", n.Target)
			}
		}
		if _, err := h.infer(t.Context(), acme, "inner"); err != nil { // evicts outer: only one may be loaded
			t.Fatal(err)
		}
	}
	if _, err := h.catalog.DeleteModel(t.Context(), acme, "add", "1"); err == nil {
		t.Error("a model that an inner graph runs was deleted")
	}
}

// TestModelsThatPluginsCall: what a plugin may call is pinned, loaded and kept like what a node runs.
func TestModelsThatPluginsCall(t *testing.T) {
	h := newHouse(t, 0)
	if _, err := h.AddPlugin(t.Context(), acme, h.upload(t, acme, control.UploadPlugin, "values", sandboxtest.Module(t, "values"))); err != nil {
		t.Fatal(err)
	}
	h.addModel(t, acme, "add", "model 1")
	doc := func(model string) []byte {
		return fmt.Appendf(nil, `
graph: dot
inputs: {a: {type: tensor, dtype: FP32, shape: [n]}, b: {type: tensor, dtype: FP32, shape: [n]}}
outputs: {y: {from: d.y}}
nodes:
  d: {plugin: values, call: dot, in: {a: a, b: b}, may_call: [%s]}
`, model)
	}
	rel, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: doc("add")})
	if err != nil || len(rel.Pins) != 2 {
		t.Fatalf("got %+v, %v, want pins of the plugin and the model", rel, err)
	}
	if n := h.models.open.Load(); n != 1 {
		t.Errorf("%d models are open, want the one that may be called", n)
	}
	if _, err := h.catalog.DeleteModel(t.Context(), acme, "add", ""); err == nil || !strings.Contains(err.Error(), "dot") {
		t.Errorf("delete the model: got %v, want it to be in use by dot", err)
	}
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: doc("nope")}); err == nil || !strings.Contains(err.Error(), "unknown-model") {
		t.Errorf("a model that does not exist: %v", err)
	}
}

// TestPlansAreCompiledOnce: asking for a release again gives the very plan; a graph in it is not compiled again either.
func TestPlansAreCompiledOnce(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model 1")
	rel, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("one", "")})
	if err != nil {
		t.Fatal(err)
	}
	first, err := h.Plan(t.Context(), rel)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := h.Plan(t.Context(), rel); second != first || err != nil {
		t.Errorf("got another plan, %v", err)
	}
	next, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("one", "changed")})
	if err != nil {
		t.Fatal(err)
	}
	if other, err := h.Plan(t.Context(), next); other == first || err != nil {
		t.Errorf("another release has the plan of the first, %v", err)
	}
}
