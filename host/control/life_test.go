package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/plan"
)

// graphOf is a graph of one model.
func graphOf(name, model string) []byte {
	return bytes.ReplaceAll(sum(name, ""), []byte("model: add"), []byte("model: "+model))
}

func (h *house) publishModel(t *testing.T, name, content string, serving control.Serving) {
	t.Helper()
	if _, err := h.AddModel(t.Context(), acme, h.upload(t, acme, control.UploadModel, name, []byte(content)), serving); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: graphOf("g-"+name, name)}); err != nil {
		t.Fatal(err)
	}
}

func (h *house) inMemory(t *testing.T, labels ...string) {
	t.Helper()
	want := map[string]bool{}
	for _, l := range labels {
		want[l] = true
	}
	for _, m := range h.PlanState(acme, control.Scope{}).Models {
		if m.Loaded != want[m.Label] {
			t.Errorf("%s is loaded: %v, want %v", m.Label, m.Loaded, want[m.Label])
		}
		if m.Loaded != (m.Share != nil) {
			t.Errorf("%s is loaded: %v, in the plan: %v", m.Label, m.Loaded, m.Share != nil)
		}
	}
}

// When the memory for models is full, the one that was used longest ago goes, and comes back when it is called. The release that
// runs it never goes.
func TestModelsMakeRoom(t *testing.T) {
	h := newHouseOf(t, control.Config{ModelMemory: 250})
	take := control.Serving{MemoryBytes: 100}
	for _, name := range []string{"a", "b", "c"} {
		h.publishModel(t, name, "model "+name, take)
	}
	h.inMemory(t, "b@1", "c@1")
	lease, err := h.Acquire(t.Context(), acme, "g-a", control.Call{})
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Done()
	h.inMemory(t, "b@1", "c@1") // the release is there, its model is not
	for _, test := range []struct {
		call   string
		stands []string
	}{
		{"g-a", []string{"a@1", "c@1"}}, {"g-c", []string{"a@1", "c@1"}}, {"g-b", []string{"b@1", "c@1"}}, {"g-a", []string{"a@1", "b@1"}},
	} {
		if _, err := h.infer(t.Context(), acme, test.call); err != nil {
			t.Fatalf("%s: %v", test.call, err)
		}
		h.inMemory(t, test.stands...)
	}
	if got := h.PlanState(acme, control.Scope{}); got.MemoryBytes != 200 || got.MemoryBudget != 250 {
		t.Errorf("%d of %d bytes are held, want 200 of 250", got.MemoryBytes, got.MemoryBudget)
	}
	_, err = h.AddModel(t.Context(), acme, h.upload(t, acme, control.UploadModel, "huge", []byte("huge")), control.Serving{MemoryBytes: 300})
	if !errors.Is(err, runners.ErrUnavailable) || !strings.Contains(err.Error(), "--model-memory") {
		t.Errorf("a model that can never fit: got %v", err)
	}
}

// Many requests that find a model unloaded have it loaded once, and no request fails while models come and go for each other.
func TestLoadedOnceForAll(t *testing.T) {
	h := newHouseOf(t, control.Config{ModelMemory: 250})
	for _, name := range []string{"a", "b", "c"} {
		h.publishModel(t, name, "model "+name, control.Serving{MemoryBytes: 100})
	}
	before := h.models.loads.Load()
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if _, err := h.infer(t.Context(), acme, "g-a"); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if n := h.models.loads.Load() - before; n != 1 {
		t.Errorf("the model was loaded %d times for 50 requests", n)
	}
	for i := range 6 {
		calls.Go(func() {
			for j := range 60 {
				if _, err := h.infer(t.Context(), acme, fmt.Sprintf("g-%c", 'a'+(i+j)%3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	calls.Wait()
	if n := h.models.most.Load(); n > 3 { // two in memory, and one that is being measured or let go
		t.Errorf("%d models were open at once, two fit the memory", n)
	}
}

// New versions of a model are published while callers call: none fails, and each old version is closed.
func TestModelsAreSwappedUnderLoad(t *testing.T) {
	h := newHouse(t, 0)
	h.publishModel(t, "add", "model 0", control.Serving{})
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				if _, err := h.infer(context.WithoutCancel(ctx), acme, "g-add"); err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
			}
		})
	}
	swaps := 16
	if testing.Short() {
		swaps = 6
	}
	for i := range swaps {
		h.publishModel(t, "add", fmt.Sprintf("model %d", i+1), control.Serving{MaxRows: i%3 + 1})
	}
	stop()
	callers.Wait()
	// The current one stays, and the one before for a roll-back. The last may be closed by whoever follows the catalog.
	wait(t, "an old model is closed", func() bool { return h.models.open.Load() <= 2 })
}

// A call that loads a release for so long that calls go elsewhere meanwhile, or the graph is gone, is answered by it, and does not leave
// its model behind.
func TestLoadedTooLate(t *testing.T) {
	deleteAdd := func(t *testing.T, h *house) {
		t.Helper()
		if _, err := h.DeleteGraph(t.Context(), acme, "g-add", ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, call string
		move       func(t *testing.T, h *house)
		stay       int64 // models
	}{
		{"published", "g-add", func(t *testing.T, h *house) {
			t.Helper()
			h.publishModel(t, "add", "model 2", control.Serving{})
			h.publishModel(t, "add", "model 3", control.Serving{})
		}, 2},
		{"deleted", "g-add", deleteAdd, 0},
		{"deleted, called by version", "g-add@1", deleteAdd, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t, 0)
			h.publishModel(t, "add", "model 1", control.Serving{})
			h.Forget(acme, "g-add", 1)
			held := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
			h.models.gate.Store(held)
			answered := make(chan error, 1)
			go func() {
				version, err := h.infer(t.Context(), acme, test.call)
				if err == nil && version != 1 {
					err = fmt.Errorf("release %d answered, want 1", version)
				}
				answered <- err
			}()
			<-held.arrived
			h.models.gate.Store(nil)
			test.move(t, h)
			close(held.open)
			if err := <-answered; err != nil {
				t.Error(err)
			}
			if n := h.models.open.Load(); n != test.stay {
				t.Errorf("%d models are open, want %d", n, test.stay)
			}
		})
	}
}

// A request that leaves does not stop the load that others wait for; one whose load fails is told why, and the next tries again.
func TestLoadThatFailsOrIsLeft(t *testing.T) {
	h := newHouseOf(t, control.Config{ModelMemory: 150})
	h.publishModel(t, "a", "model a", control.Serving{MemoryBytes: 100})
	h.publishModel(t, "b", "model b", control.Serving{MemoryBytes: 100}) // a goes
	held := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	h.models.gate.Store(held)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := h.infer(ctx, acme, "g-a")
		left <- err
	}()
	<-held.arrived
	stays := make(chan error, 1)
	go func() {
		_, err := h.infer(t.Context(), acme, "g-a")
		stays <- err
	}()
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	h.models.gate.Store(nil)
	close(held.open)
	if err := <-stays; err != nil {
		t.Errorf("who stayed got %v", err)
	}
	fails := runners.ErrRun
	h.models.fail.Store(&fails)
	if _, err := h.infer(t.Context(), acme, "g-b"); !errors.Is(err, runners.ErrRun) {
		t.Errorf("a load that fails: got %v", err)
	}
	h.models.fail.Store(nil)
	if _, err := h.infer(t.Context(), acme, "g-b"); err != nil {
		t.Errorf("the next try: %v", err)
	}
	if got := h.PlanState(acme, control.Scope{}).MemoryBytes; got != 100 {
		t.Errorf("%d bytes are held, want 100", got)
	}
}

// Options are kept with the version, the same file with others is another version, and wrong ones are refused.
func TestOptionsOfOwners(t *testing.T) {
	h := newHouse(t, 0)
	serving := control.Serving{MaxRows: 5, MaxDelay: time.Millisecond, Threads: 1, Concurrency: 1, Instances: 2}
	add := func(s control.Serving) (int, error) {
		m, err := h.AddModel(t.Context(), acme, h.upload(t, acme, control.UploadModel, "add", []byte("model")), s)
		return m.Version, err
	}
	for _, test := range []struct {
		serving control.Serving
		version int
	}{{control.Serving{}, 1}, {serving, 2}, {serving, 2}, {control.Serving{}, 3}} {
		if v, err := add(test.serving); err != nil || v != test.version {
			t.Errorf("%+v: got version %d, %v, want %d", test.serving, v, err, test.version)
		}
	}
	for want, bad := range map[string]control.Serving{
		`there is no input "x" to pad`: {Pad: []batch.Pad{{Input: "x", Axis: 1}}},
		"max_rows -1":                  {MaxRows: -1},
		"max_delay 1h0m0s":             {MaxDelay: time.Hour},
		"instances 99":                 {Instances: 99},
		"max_queue_rows 3: want at least max_rows, 5": {MaxRows: 5, MaxQueueRows: 3},
		`warm: input "b" is missing`:                  {Warm: []control.WarmInput{{Input: "a", Shape: []int64{1, 3}}}},
		`want shape [batch 3], got [1 4]`: {
			Warm: []control.WarmInput{{Input: "a", Shape: []int64{1, 4}}, {Input: "b", Shape: []int64{1, 3}}},
		},
	} {
		if _, err := add(bad); !errors.Is(err, control.ErrServing) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", bad, err, want)
		}
	}
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: bytes.ReplaceAll(sum("g", ""), []byte("model: add"), []byte("model: add@2"))}); err != nil {
		t.Fatal(err)
	}
	models := h.PlanState(acme, control.Scope{}).Models
	if len(models) != 1 {
		t.Fatalf("got %d models", len(models))
	}
	got := models[0]
	if got.Share.MaxRows != 5 || got.Share.Threads != 1 || got.Share.Concurrency != 1 || got.Share.Instances != 2 {
		t.Errorf("got %+v", got.Share)
	}
	if n := h.models.open.Load(); n != 2 {
		t.Errorf("%d instances are open, want 2", n)
	}
	if diff := cmp.Diff(serving, got.Serving); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

// However few rows a run has, the queue has room for a crowd: a model whose requests share nothing too.
func TestQueueHoldsACrowd(t *testing.T) {
	h := newHouse(t, 0)
	h.publishModel(t, "slow", "gains nothing", control.Serving{MaxRows: 1, Concurrency: 1})
	var calls sync.WaitGroup
	for range 200 {
		calls.Go(func() {
			if _, err := h.infer(t.Context(), acme, "g-slow"); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
}

// A warm-up on declared inputs that fails is an error; on made-up ones it is a note, and the model is served.
func TestWarmUp(t *testing.T) {
	h := newHouse(t, 0)
	add := func(content string, s control.Serving) (string, error) {
		m, err := h.AddModel(t.Context(), acme, h.upload(t, acme, control.UploadModel, "m", []byte(content)), s)
		return m.Meta[control.MetaWarmUp], err
	}
	warm := []control.WarmInput{{Input: "a", Shape: []int64{2, 3}, Value: 1}, {Input: "b", Shape: []int64{2, 3}}}
	if note, err := add("model", control.Serving{Warm: warm}); err != nil || note != "" {
		t.Errorf("declared: %q, %v", note, err)
	}
	if _, err := add("unrunnable", control.Serving{Warm: warm}); !errors.Is(err, runners.ErrRun) || !strings.Contains(err.Error(), "declared inputs") {
		t.Errorf("declared, fails: got %v", err)
	}
	if note, err := add("unrunnable", control.Serving{}); err != nil || !strings.Contains(note, "it was told to") {
		t.Errorf("made up, fails: got %q, %v", note, err)
	}
}

// What was learned of a model survives the server: the next one admits by it from the first request on. What cannot be read is
// learned again.
func TestWhatWasLearnedIsKept(t *testing.T) {
	learned := filepath.Join(t.TempDir(), "learned")
	dir := t.TempDir()
	cost := func(t *testing.T, calls int) batch.Cost {
		t.Helper()
		h := newHouseIn(t, dir, control.Config{LearnedDir: learned, MeasureModels: true})
		h.publishModel(t, "add", "model", control.Serving{})
		for range calls {
			if _, err := h.infer(t.Context(), acme, "g-add"); err != nil {
				t.Fatal(err)
			}
		}
		return h.PlanState(acme, control.Scope{}).Models[0].Cost
	}
	var first, second batch.Cost
	t.Run("first", func(t *testing.T) { first = cost(t, 20) })
	t.Run("second", func(t *testing.T) { second = cost(t, 0) })
	if diff := cmp.Diff(first, second); diff != "" || len(first.Shapes) == 0 {
		t.Errorf("what the second server knows (-first +second):\n%s", diff)
	}
	if took, known := second.Foretell("3 3", 1); !known || took <= 0 {
		t.Errorf("a run of one row: got %v, %v", took, known)
	}
	files, err := filepath.Glob(filepath.Join(learned, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got files %v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("{half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("damaged", func(t *testing.T) { second = cost(t, 0) })
	if len(second.Shapes) == 0 {
		t.Error("nothing was learned again")
	}
}

// A model of which nothing is declared is measured on one thread and on all, and gets what does more.
func TestModelsAreMeasured(t *testing.T) {
	h := newHouseOf(t, control.Config{MeasureModels: true, Machine: plan.Machine{Cores: 4, Source: "test"}})
	h.publishModel(t, "wide", "gains by threads", control.Serving{})
	h.publishModel(t, "narrow", "gains nothing", control.Serving{})
	h.publishModel(t, "told", "gains nothing, told", control.Serving{Threads: 4})
	got := map[string]string{}
	for _, m := range h.PlanState(acme, control.Scope{}).Models {
		got[m.Label] = fmt.Sprint(m.Share.Threads, " ", len(m.Measured.Threads), " ", len(m.Measured.Rows) > 1)
	}
	want := map[string]string{"wide@1": "4 2 true", "narrow@1": "1 2 true", "told@1": "4 0 true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("threads, points of threads, rows measured (-want +got):\n%s", diff)
	}
	if got := h.models.threads(t, "narrow@1"); got != 1 {
		t.Errorf("it was loaded with %d threads, want 1", got)
	}
}

// A model that was measured while the machine was busy is measured again, when it is loaded and while nobody calls it.
func TestModelsAreMeasuredAgain(t *testing.T) {
	learned, dir := filepath.Join(t.TempDir(), "learned"), t.TempDir()
	cfg := control.Config{LearnedDir: learned, MeasureModels: true, Machine: plan.Machine{Cores: 4, Source: "test"}}
	long := time.Now().Add(-24 * time.Hour)
	spoil := func() { // as if the machine had been busy a day ago
		files, err := filepath.Glob(filepath.Join(learned, "*.json"))
		if err != nil || len(files) != 1 {
			t.Fatalf("got files %v, %v", files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		var l struct {
			Cost     batch.Cost    `json:"cost"`
			Measured plan.Measured `json:"measured"`
		}
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		l.Measured.Busy, l.Measured.At, l.Measured.Tries = true, long, 1
		l.Measured.Threads = []plan.ThreadsTook{{Threads: 1, Took: time.Second}, {Threads: 4, Took: time.Second}}
		if text, err = json.Marshal(l); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[0], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fresh := func(h *house, when string) {
		t.Helper()
		if m := h.PlanState(acme, control.Scope{}).Models[0]; time.Since(m.Measured.At) > time.Hour || m.Share == nil || m.Share.Threads != 4 {
			t.Errorf("%s: measured %+v, share %+v", when, m.Measured, m.Share)
		}
	}
	t.Run("first", func(t *testing.T) {
		h := newHouseIn(t, dir, cfg)
		h.publishModel(t, "add", "gains by threads", control.Serving{})
		fresh(h, "first")
		loads := h.models.loads.Load()
		h.Tend(t.Context())
		if got := h.models.loads.Load(); got != loads && !h.PlanState(acme, control.Scope{}).Models[0].Measured.Busy {
			t.Errorf("a good measurement was made again")
		}
	})
	spoil()
	t.Run("loaded", func(t *testing.T) {
		h := newHouseIn(t, dir, cfg)
		if _, err := h.infer(t.Context(), acme, "g-add"); err != nil {
			t.Fatal(err)
		}
		fresh(h, "loaded again")
	})
	spoil()
	t.Run("idle", func(t *testing.T) {
		cfg := cfg
		cfg.MeasureModels = false // it is loaded with what is known
		h := newHouseIn(t, dir, cfg)
		if _, err := h.infer(t.Context(), acme, "g-add"); err != nil {
			t.Fatal(err)
		}
		if m := h.PlanState(acme, control.Scope{}).Models[0]; !m.Measured.At.Equal(long) {
			t.Fatalf("measured %+v", m.Measured)
		}
		h.MeasureFromNowOn()
		h.Tend(t.Context())
		fresh(h, "idle")
	})
}

// The plan is made again when models come and go, and a tenant sees its own models only.
func TestPlanIsMadeAgain(t *testing.T) {
	h := newHouseOf(t, control.Config{Machine: plan.Machine{Cores: 4, Source: "test"}})
	h.publishModel(t, "a", "model a", control.Serving{Threads: 1})
	guaranteed := func() int { return h.PlanState(acme, control.Scope{}).Models[0].Share.Guaranteed }
	if got := guaranteed(); got != 4 {
		t.Errorf("alone: %d runs, want 4", got)
	}
	h.publishModel(t, "b", "model b", control.Serving{Threads: 1})
	if got := guaranteed(); got != 2 {
		t.Errorf("of two: %d runs, want 2", got)
	}
	h.addModel(t, other, "add", "model c")
	if _, _, err := h.Publish(t.Context(), other, control.PublishParams{Document: sum("g", "")}); err != nil {
		t.Fatal(err)
	}
	s := h.PlanState(acme, control.Scope{})
	if guaranteed() != 1 || len(s.Models) != 2 || s.Others != 1 || strings.Contains(s.Why, "add") {
		t.Errorf("of two of two tenants: %d runs, %d models and %d others, %q", guaranteed(), len(s.Models), s.Others, s.Why)
	}
	if _, err := h.DeleteGraph(t.Context(), acme, "g-b", ""); err != nil {
		t.Fatal(err)
	}
	if got := guaranteed(); got != 2 {
		t.Errorf("after the second went: %d runs, want 2", got)
	}
}
