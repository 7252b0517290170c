//go:build cgo && (linux || darwin)

package worker_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/internal/confine"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/runners/runnertest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// TestMain makes this binary a worker when it is started as one.
func TestMain(m *testing.M) {
	if confine.Started() {
		os.Exit(worker.Main(context.Background(), os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// newPool returns a pool that is closed when the test ends.
func newPool(tb testing.TB, change ...func(*worker.Config)) *worker.Pool {
	tb.Helper()
	library, err := ortlib.Find(os.Getenv, ".")
	if err != nil {
		tb.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	config := worker.Config{Command: []string{exe}, Library: library, Threads: 2, Logger: slog.New(slog.NewTextHandler(tb.Output(), nil))}
	for _, c := range change {
		c(&config)
	}
	p, err := worker.New(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("close the pool: %v", err)
		}
	})
	return p
}

// patience bounds what a test waits for.
const patience = 2 * time.Minute

// eventually waits until ok, or fails the test when it has waited for too long.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-late.C:
			tb.Fatalf("after %v not true yet: %s", patience, what)
		case <-tick.C:
		}
	}
}

var ada = worker.Key{Tenant: "ada"}

// load loads a model of ada's, which the test closes.
func load(tb testing.TB, p *worker.Pool, m onnxtest.Model) *worker.Model {
	tb.Helper()
	return loadFor(tb, p, ada, m)
}

func loadFor(tb testing.TB, p *worker.Pool, key worker.Key, m onnxtest.Model) *worker.Model {
	tb.Helper()
	model, err := p.Load(tb.Context(), key, worker.LoadParams{Label: m.Graph.Name + "@1", Model: m.Bytes()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := model.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return model
}

// The log says of every worker whose it is; nothing else is said of one that does well.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	t.Run("workers", func(t *testing.T) {
		p := newPool(t, func(c *worker.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		if _, err := p.Version(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := add(t.Context(), load(t, p, onnxtest.AddSub())); err != nil {
			t.Error(err)
		}
	})
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "more rights than they need") })
	if len(lines) != 2 || !strings.Contains(lines[0], `msg="worker started" tenant="(none: asked for its version)"`) ||
		!strings.Contains(lines[1], `msg="worker started" tenant=ada`) {
		t.Errorf("got %q, want a line for each of two workers", lines)
	}
}

func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*worker.Config){
		"futex":  func(*worker.Config) {},
		"socket": func(c *worker.Config) { c.NoFutex = true },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, change)
			maker := func(m onnxtest.Model) func(*testing.T) runners.Runner {
				return func(t *testing.T) runners.Runner {
					t.Helper()
					return load(t, p, m)
				}
			}
			runnertest.Test(t, runnertest.Makers{
				AddSub: maker(onnxtest.AddSub()),
				Echo: func(t *testing.T, d runners.DType) runners.Runner {
					t.Helper()
					return load(t, p, onnxtest.Identity(d, nil))
				},
				Slow:     maker(onnxtest.Slow()),
				Document: maker(onnxtest.ZipMap([]int64{0, 1})),
				Broken:   maker(onnxtest.Broken()),
			})
		})
	}
}
