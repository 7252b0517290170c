package control

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/plan"
)

// weighing loads models that take so many bytes each, as far as it says.
type weighing struct{ says int64 }

func (weighing) Check([]byte) error { return nil }

func (w weighing) Load(context.Context, LoadParams) (runners.Runner, ModelInfo, error) {
	return fake.New(fake.AddSub()), ModelInfo{MemoryBytes: w.says}, nil
}

// What an owner declares of its model's memory raises what is counted and never lowers it, be it below what the file has or below what
// the runner says.
func TestDeclaredMemoryOnlyRaises(t *testing.T) {
	t.Parallel()
	store, err := blob.OpenDir(t.Context(), blob.Config{Dir: filepath.Join(t.TempDir(), "blobs")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	const size, limit = 1000, 4000
	d := stored(t, store, strings.Repeat("w", size))
	for name, test := range map[string]struct {
		declared, says int64
		instances      int
		counted        int64 // 0: the model is refused
		use, need      int64
	}{
		"nothing declared, the runner says":   {says: 1200, counted: 1200},
		"less than the file":                  {declared: 1, counted: size + size/2},
		"less than the runner says":           {declared: 1, says: 1900, counted: 1900},
		"the runner says less than the file":  {declared: 1, says: 10, counted: size},
		"more than the runner says":           {declared: 2500, says: 1200, counted: 2500},
		"instances":                           {declared: 1, says: 1100, instances: 2, counted: 2200},
		"more than the limit":                 {declared: limit + 1, need: limit + 1},
		"files of instances beyond the limit": {declared: 1, instances: 3, need: 4500},
		"the runner says more than the limit": {declared: 1, says: limit + 5, need: limit + 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newLife(Config{
				Models: weighing{test.says}, Blobs: store, Logger: slog.New(slog.DiscardHandler), Machine: plan.Machine{Cores: 4, Source: "test"},
				Limits: func(tenant.ID) tenant.Limits { return tenant.Limits{LoadedModels: -1, ModelMemoryBytes: limit} },
			})
			r := f.resident(modelKey{"acme", d, ""}, "m@1", size, Serving{MemoryBytes: test.declared, Instances: test.instances})
			defer func() {
				if err := r.Close(); err != nil || f.shelf.holding() != 0 {
					t.Errorf("close: %v, %d bytes are held", err, f.shelf.holding())
				}
			}()
			err := r.ensure(t.Context())
			if test.counted > 0 {
				if got := f.shelf.own("acme"); err != nil || got != (ModelUse{1, test.counted}) {
					t.Errorf("got %+v, %v, want %d bytes", got, err, test.counted)
				}
				return
			}
			want := &tenant.QuotaError{
				Quota: "model_memory_bytes", Limit: limit, Need: test.need, RetryAfterSeconds: tenant.RetryHeld,
				Advice: "push a smaller model or fewer instances of it, or ask for a higher limit",
			}
			var got *tenant.QuotaError
			if !errors.As(err, &got) || !cmp.Equal(got, want) {
				t.Errorf("got %v (-want +got):\n%s", err, cmp.Diff(want, got))
			}
		})
	}
}

// A model that takes more than was set aside for it has others of its tenant go, and one that does not fit besides is told what they
// use.
func TestHeavierThanExpected(t *testing.T) {
	t.Parallel()
	store, err := blob.OpenDir(t.Context(), blob.Config{Dir: filepath.Join(t.TempDir(), "blobs")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	d := stored(t, store, "abc")
	f := newLife(Config{
		Models: weighing{600}, Blobs: store, Logger: slog.New(slog.DiscardHandler), Machine: plan.Machine{Cores: 4, Source: "test"},
		Limits: func(tenant.ID) tenant.Limits { return tenant.Limits{LoadedModels: -1, ModelMemoryBytes: 1000} },
	})
	var rs []*resident
	for _, name := range []string{"a", "b", "c"} {
		rs = append(rs, f.resident(modelKey{"acme", d, name}, name, 3, Serving{}))
	}
	defer func() {
		for _, r := range rs {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	tight := newLife(Config{
		Models: weighing{600}, Blobs: store, Logger: slog.New(slog.DiscardHandler), Machine: plan.Machine{Cores: 4, Source: "test"}, ModelMemory: 500,
	})
	r := tight.resident(modelKey{"acme", d, ""}, "m", 3, Serving{MemoryBytes: 1})
	err = r.ensure(t.Context())
	if cerr := r.Close(); !errors.Is(err, runners.ErrUnavailable) || !strings.Contains(err.Error(), "--model-memory") || cerr != nil || tight.shelf.holding() != 0 {
		t.Errorf("heavier than all memory for models: got %v, %v, %d bytes are held", err, cerr, tight.shelf.holding())
	}
	for _, r := range rs[:2] {
		if err := r.ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.shelf.own("acme"); got != (ModelUse{1, 600}) || rs[0].loaded() || !rs[1].loaded() {
		t.Errorf("got %+v", got)
	}
	rs[2].serving.MemoryBytes = 2000
	var q *tenant.QuotaError
	if err := rs[2].ensure(t.Context()); !errors.As(err, &q) || q.Use != 600 || q.Need != 2000 || q.RetryAfterSeconds <= 0 {
		t.Errorf("got %v, want the use of the others and a hint", err)
	}
}
