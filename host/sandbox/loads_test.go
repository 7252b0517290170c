package sandbox_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// gated is a compiler that waits for leave before it compiles.
type gated struct {
	counting
	entered chan struct{} // receives when a module begins to compile
	ended   chan error    // receives when one that was given up has ended
	leave   chan struct{}
}

func newGated() *gated {
	return &gated{
		counting: counting{Compiler: sandbox.InProcess()},
		entered:  make(chan struct{}, 10), ended: make(chan error, 10), leave: make(chan struct{}),
	}
}

func (g *gated) Compile(ctx context.Context, wasm []byte, dir string) error {
	g.entered <- struct{}{}
	select {
	case <-g.leave:
		return g.counting.Compile(ctx, wasm, dir)
	case <-ctx.Done():
		g.ended <- context.Cause(ctx)
		return context.Cause(ctx)
	}
}

// loading loads a module on a goroutine, closes it, and says how that ended.
func loading(ctx context.Context, t *testing.T, h *sandbox.Host, tenant, module string) <-chan error {
	t.Helper()
	done, wasm := make(chan error, 1), moduleBytes(t, module)
	go func() {
		p, err := h.LoadFor(ctx, sandbox.Loading{Tenant: tenant}, wasm)
		if err == nil {
			err = p.Close()
		}
		done <- err
	}()
	return done
}

// within returns what comes, which must not take long.
func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not come", what)
	}
	return v
}

// A module whose code is kept is loaded while another one compiles, however many wait for that.
func TestKeptCodeWaitsForNoCompile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	before := newHost(t, sandbox.Config{CacheDir: dir})
	for _, name := range []string{"values", "stateful"} {
		loadFor(t, before, "b", name)
	}
	g := newGated()
	h := newHost(t, sandbox.Config{CacheDir: dir, Compiler: g, Cores: 1})
	slow := []<-chan error{loading(t.Context(), t, h, "a", "services"), loading(t.Context(), t, h, "a", "hostile")}
	within(t, "the slow compile", g.entered)
	for _, name := range []string{"values", "stateful", "values"} {
		if err := within(t, "code that is kept", loading(t.Context(), t, h, "b", name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	waits := loading(ctx, t, h, "b", "secrets")
	cancel()
	if err := within(t, "who does not wait for its turn to compile", waits); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	close(g.leave)
	for _, done := range slow {
		if err := within(t, "the slow compile", done); err != nil {
			t.Error(err)
		}
	}
}

// Who leaves takes the compile from nobody who waits for it; when nobody does any more, it ends.
func TestCompileIsOfAllWhoWait(t *testing.T) {
	g := newGated()
	h := newHost(t, sandbox.Config{CacheDir: filepath.Join(t.TempDir(), "cache"), Compiler: g})
	leave := func(tenant string) (cancel func(), done <-chan error) {
		ctx, cancel := context.WithCancel(t.Context())
		return cancel, loading(ctx, t, h, tenant, "values")
	}
	cancel, first := leave("a")
	within(t, "the compile", g.entered)
	stays := loading(t.Context(), t, h, "b", "values")
	waitFor(t, "both wait", func() bool { return h.Callers() == 2 })
	cancel()
	if err := within(t, "who left", first); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	g.leave <- struct{}{}
	if err := within(t, "who stayed", stays); err != nil {
		t.Error(err)
	}
	if n := g.n.Load(); n != 1 {
		t.Errorf("compiled %d times, want once", n)
	}

	cancel, alone := leave("a")
	if err := within(t, "kept code", alone); err != nil {
		t.Error(err)
	}
	cancel()
	ctx, cancel := context.WithCancel(t.Context())
	last := loading(ctx, t, h, "a", "services")
	within(t, "the compile", g.entered)
	cancel()
	if err := within(t, "who left", last); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	within(t, "the end of a compile that nobody waits for", g.ended)
}

// Close does not wait for a compile, and who waits for it is told.
func TestCloseEndsCompiles(t *testing.T) {
	g := newGated()
	h, err := sandbox.New(t.Context(), sandbox.Config{CacheDir: filepath.Join(t.TempDir(), "cache"), Compiler: g})
	if err != nil {
		t.Fatal(err)
	}
	done := loading(t.Context(), t, h, "a", "values")
	within(t, "the compile", g.entered)
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := within(t, "who waited", done); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
