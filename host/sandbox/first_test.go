package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// slow is a compiler that takes three seconds for every module.
type slow struct {
	counting
	refuses bool
}

const slowly = 3 * time.Second

func newSlow() *slow { return &slow{counting: counting{Compiler: sandbox.InProcess()}} }

func (s *slow) Compile(ctx context.Context, wasm []byte, dir string) error {
	select {
	case <-time.After(slowly):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.refuses {
		s.n.Add(1)
		return fmt.Errorf("%w: refused", sandbox.ErrCompile)
	}
	return s.counting.Compile(ctx, wasm, dir)
}

// pushing loads a module as a tenant that pushes it does, on a goroutine, and says how long that took, and why it failed.
func pushing(ctx context.Context, t *testing.T, h *sandbox.Host, tenant, module string) <-chan pushed {
	t.Helper()
	done, wasm := make(chan pushed, 1), moduleBytes(t, module)
	go func() {
		began := time.Now()
		p, err := h.LoadFor(ctx, sandbox.Loading{Tenant: tenant, First: true}, wasm)
		done <- pushed{time.Since(began), err}
		if err == nil {
			_ = p.Close()
		}
	}()
	return done
}

type pushed struct {
	took time.Duration
	err  error
}

func (p pushed) want(t *testing.T, what string, took time.Duration) {
	t.Helper()
	if p.err != nil || p.took != took {
		t.Errorf("%s took %v, %v, want %v", what, p.took, p.err, took)
	}
}

// A tenant's first push of a module takes as long whether or not another tenant has it: alone, beside the other's, after a restart, and
// when the module is refused.
func TestFirstPushTellsNothingOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "cache")
		c := newSlow()
		h := newHost(t, sandbox.Config{CacheDir: dir, Compiler: c, Cores: 4})
		push := func(tenant string) pushed { return <-pushing(t.Context(), t, h, tenant, "values") }
		push("a").want(t, "the first push of all", slowly)
		push("b").want(t, "another tenant's first push", slowly)
		push("a").want(t, "a tenant's second push", 0)
		push("b").want(t, "another tenant's second push", 0)
		if n := c.n.Load(); n != 1 {
			t.Errorf("compiled %d times, want once", n)
		}
		restarted := newHost(t, sandbox.Config{CacheDir: dir, Compiler: c, Cores: 4})
		(<-pushing(t.Context(), t, restarted, "c", "values")).want(t, "another tenant's first push after a restart", slowly)
		(<-pushing(t.Context(), t, restarted, "a", "values")).want(t, "a tenant's own push after a restart", 0)

		first := pushing(t.Context(), t, h, "a", "services")
		time.Sleep(time.Second)
		(<-pushing(t.Context(), t, h, "b", "services")).want(t, "a push that comes while another tenant's compiles", slowly)
		(<-first).want(t, "that push", slowly)

		c.refuses = true
		first = pushing(t.Context(), t, h, "a", "hostile")
		time.Sleep(time.Second)
		late := <-pushing(t.Context(), t, h, "b", "hostile")
		wantReject(t, late.err, "compile", "refused")
		wantReject(t, (<-first).err, "compile", "refused")
		if late.took != slowly {
			t.Errorf("a push beside another tenant's that is refused took %v, want %v", late.took, slowly)
		}
	})
}

// What a module took is without the wait for others, and who waits so that its time tells nothing holds up nobody, and may leave.
func TestFirstPushHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, sandbox.Config{CacheDir: filepath.Join(t.TempDir(), "cache"), Compiler: newSlow(), Cores: 1})
		first := pushing(t.Context(), t, h, "a", "values")
		synctest.Wait()
		(<-pushing(t.Context(), t, h, "b", "services")).want(t, "a push that waits for another to compile", 2*slowly)
		(<-first).want(t, "the first push", slowly)
		waits := pushing(t.Context(), t, h, "c", "services")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		leaves := pushing(ctx, t, h, "d", "services")
		synctest.Wait()
		(<-pushing(t.Context(), t, h, "e", "hostile")).want(t, "a compile meanwhile", slowly)
		(<-waits).want(t, "a first push", slowly)
		if got := <-leaves; !errors.Is(got.err, context.DeadlineExceeded) || got.took != time.Second {
			t.Errorf("who leaves after a second: got %v after %v", got.err, got.took)
		}
	})
}
