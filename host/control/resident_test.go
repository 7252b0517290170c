package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/plan"
)

// slowly loads in a second models whose runs take as long.
type slowly struct {
	mu          sync.Mutex // guards the following
	loads, open int
	most        int
	fails       error
}

func (s *slowly) Check([]byte) error { return nil }

func (s *slowly) Load(context.Context, LoadParams) (runners.Runner, ModelInfo, error) {
	time.Sleep(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return nil, ModelInfo{}, s.fails
	}
	s.loads++
	s.open++
	s.most = max(s.most, s.open)
	script := fake.AddSub()
	script.Takes = func([]runners.Tensor) time.Duration { return time.Second }
	script.Closed = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	}
	return fake.New(script), ModelInfo{}, nil
}

// stored puts a blob into a store and returns its digest.
func stored(t *testing.T, store *blob.Dir, data string) blob.Digest {
	t.Helper()
	sum := sha256.Sum256([]byte(data))
	d := blob.Digest("sha256:" + hex.EncodeToString(sum[:]))
	up, err := store.Begin(t.Context(), blob.UploadParams{Owner: "acme", Kind: UploadModel, Name: "m", Size: int64(len(data)), Digest: d})
	if err == nil {
		_, err = store.Append(t.Context(), "acme", up.ID, 0, []byte(data), crc32.Checksum([]byte(data), crc32.MakeTable(crc32.Castagnoli)))
	}
	if err == nil {
		_, err = store.Finish(t.Context(), "acme", up.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newShelfOf returns models of 100 bytes each, in the memory of so many bytes.
func newShelfOf(t *testing.T, store *blob.Dir, d blob.Digest, models int, memory int64) (*slowly, *life, []*resident) {
	t.Helper()
	source := &slowly{}
	f := newLife(Config{
		Models: source, Blobs: store, Logger: slog.New(slog.DiscardHandler), ModelMemory: memory, Machine: plan.Machine{Cores: 4, Source: "test"},
	})
	var rs []*resident
	for i := range models {
		serving := Serving{MemoryBytes: 100, Concurrency: 4}
		rs = append(rs, f.resident(modelKey{"acme", d, fmt.Sprint(i)}, fmt.Sprintf("m%d@1", i), 3, serving))
	}
	return source, f, rs
}

func openStore(t *testing.T) (*blob.Dir, blob.Digest) {
	t.Helper()
	store, err := blob.OpenDir(t.Context(), blob.Config{Dir: filepath.Join(t.TempDir(), "blobs")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, stored(t, store, "abc")
}

func use(ctx context.Context, r *resident) error {
	x := runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3}, Data: make([]byte, 12)}
	out := make([]runners.Tensor, 2)
	err := r.Run(ctx, []runners.Tensor{x, x}, out)
	for i := range out {
		out[i].Release()
	}
	return err
}

// A model that has to make room finishes what it runs first, and the request that comes for it meanwhile waits until it is back.
func TestUnloadDrains(t *testing.T) {
	store, d := openStore(t)
	synctest.Test(t, func(t *testing.T) {
		source, f, rs := newShelfOf(t, store, d, 2, 150)
		a, b := rs[0], rs[1]
		if err := a.ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		at := make([]time.Duration, 3)
		var calls sync.WaitGroup
		call := func(i int, r *resident) {
			calls.Go(func() {
				if err := use(t.Context(), r); err != nil {
					t.Error(err)
				}
				at[i] = time.Since(start)
			})
			synctest.Wait()
		}
		call(0, a)
		call(1, b) // waits for a's run to end, loads, is warmed, and runs
		call(2, a) // waits for b's
		calls.Wait()
		want := []time.Duration{time.Second, 4 * time.Second, 7 * time.Second}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("request %d ended after %v, want %v", i, at[i], want[i])
			}
		}
		if source.most != 1 || f.shelf.holding() != 100 {
			t.Errorf("%d models were open at once, %d bytes are held", source.most, f.shelf.holding())
		}
		closeResidents(t, f, source, rs)
	})
}

func closeResidents(t *testing.T, f *life, source *slowly, rs []*resident) {
	t.Helper()
	for _, r := range rs {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := use(t.Context(), r); !errors.Is(err, runners.ErrClosed) {
			t.Errorf("after Close: got %v", err)
		}
	}
	f.loads.Wait()
	if source.open != 0 || f.shelf.holding() != 0 || len(f.residents()) != 0 {
		t.Errorf("left over: %d models open, %d bytes held, %d models", source.open, f.shelf.holding(), len(f.residents()))
	}
	if p, _ := f.shares.plan(); len(p.Shares) != 0 {
		t.Errorf("left in the plan: %+v", p.Shares)
	}
}

// A close that comes while a model is being loaded waits for that; who waited for the load has its run.
func TestCloseWaitsForLoad(t *testing.T) {
	store, d := openStore(t)
	synctest.Test(t, func(t *testing.T) {
		source, f, rs := newShelfOf(t, store, d, 1, 0)
		done := make(chan error, 1)
		go func() { done <- use(t.Context(), rs[0]) }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- rs[0].Close() }()
		if err := errors.Join(<-done, <-closed); err != nil {
			t.Error(err)
		}
		closeResidents(t, f, source, rs)
	})
}

// Whatever comes when: every request of a model that can be loaded is answered, the memory is not exceeded, and all is given back.
func TestModelLife(t *testing.T) {
	store, d := openStore(t)
	rapid.Check(t, func(rt *rapid.T) {
		models, fit := rapid.IntRange(1, 4).Draw(rt, "models"), rapid.IntRange(1, 3).Draw(rt, "fit")
		type request struct {
			model     int
			at, leave time.Duration
		}
		requests := make([]request, rapid.IntRange(1, 20).Draw(rt, "requests"))
		for i := range requests {
			requests[i] = request{
				model: rapid.IntRange(0, models-1).Draw(rt, "model"),
				at:    time.Duration(rapid.IntRange(0, 100).Draw(rt, "at")) * 100 * time.Millisecond,
				leave: time.Duration(rapid.IntRange(0, 3).Draw(rt, "leave")) * 700 * time.Millisecond,
			}
		}
		synctest.Test(t, func(t *testing.T) {
			source, f, rs := newShelfOf(t, store, d, models, int64(100*fit+50))
			var calls sync.WaitGroup
			for i, r := range requests {
				calls.Go(func() {
					time.Sleep(r.at)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if r.leave > 0 {
						time.AfterFunc(r.leave, cancel)
					}
					if err := use(ctx, rs[r.model]); err != nil && (r.leave == 0 || !errors.Is(err, context.Canceled)) {
						t.Errorf("request %d: %v", i, err)
					}
				})
			}
			calls.Wait()
			f.loads.Wait()
			if source.most > fit {
				t.Errorf("%d models were open at once, the memory is for %d", source.most, fit)
			}
			closeResidents(t, f, source, rs)
		})
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}

// Files of what was learned are bounded, by tenant, and do not fail what they are about.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &memory{dir: dir, log: slog.New(slog.DiscardHandler)}
	for i := range 4 {
		for _, who := range []tenant.ID{"acme", "acme-2"} {
			if err := m.write(modelKey{who, "sha256:0", fmt.Sprint(i)}, learned{MemoryBytes: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.forget("acme"); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Fatalf("got %d files, %v, want those of the other tenant", len(files), err)
	}
	if got := m.read(t.Context(), modelKey{"acme-2", "sha256:0", "1"}); got.MemoryBytes != 1 {
		t.Errorf("got %+v", got)
	}
	if got := m.read(t.Context(), modelKey{"acme", "sha256:0", "1"}); got.MemoryBytes != 0 {
		t.Errorf("forgotten, got %+v", got)
	}
	for i := range maxLearned + 10 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("old~%d.json", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.write(modelKey{"acme", "sha256:0", "new"}, learned{MemoryBytes: 2}); err != nil {
		t.Fatal(err)
	}
	files, err = os.ReadDir(dir)
	if err != nil || len(files) != maxLearned {
		t.Errorf("got %d files, %v, want %d", len(files), err, maxLearned)
	}
	if got := m.read(t.Context(), modelKey{"acme", "sha256:0", "new"}); got.MemoryBytes != 2 {
		t.Errorf("the newest: got %+v", got)
	}
}

// TestTenantsHaveRoomOfTheirOwn gives one tenant room for two models, by number or by memory: its third one takes the place of its
// own, never of another tenant's, and what is larger than all it may have is refused.
func TestTenantsHaveRoomOfTheirOwn(t *testing.T) {
	store, d := openStore(t)
	for name, limits := range map[string]tenant.Limits{
		"by number": {LoadedModels: 2, ModelMemoryBytes: -1}, "by memory": {LoadedModels: -1, ModelMemoryBytes: 250},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &slowly{}
				f := newLife(Config{
					Models: source, Blobs: store, Logger: slog.New(slog.DiscardHandler), Machine: plan.Machine{Cores: 4, Source: "test"},
					Limits: func(id tenant.ID) tenant.Limits {
						if id == "acme" {
							return limits
						}
						return tenant.Unlimited()
					},
				})
				model := func(id tenant.ID, i int, bytes int64) *resident {
					return f.resident(modelKey{id, d, fmt.Sprint(i)}, fmt.Sprintf("m%d@1", i), 3, Serving{MemoryBytes: bytes, Concurrency: 4})
				}
				rs := []*resident{model("other", 0, 100), model("acme", 1, 100), model("acme", 2, 100), model("acme", 3, 100)}
				for _, r := range rs {
					if err := r.ensure(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if own, other := f.shelf.own("acme"), f.shelf.own("other"); own != (ModelUse{2, 200}) || other != (ModelUse{1, 100}) {
					t.Errorf("got %+v of the tenant and %+v of the other", own, other)
				}
				if !rs[0].loaded() || rs[1].loaded() || !rs[2].loaded() || !rs[3].loaded() {
					t.Error("not the tenant's model that was used longest ago made room")
				}
				if limits.ModelMemoryBytes > 0 {
					giant := model("acme", 4, 300)
					if err := giant.ensure(t.Context()); !errors.Is(err, tenant.ErrQuota) {
						t.Errorf("a model larger than the tenant may have: got %v", err)
					}
					rs = append(rs, giant)
				}
				closeResidents(t, f, source, rs)
			})
		})
	}
}
