package sandbox_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/value"
)

// No byte of one call is visible to the next, whichever way instances are reset: a plugin hides a pattern in memory,
// globals, stack, arena and grown pages, and hunts for it in every call, on two goroutines, which keep two cores busy.
// TANDEM_SECRETS says how many calls each method must bear: `make test-secrets`.
func TestSecrets(t *testing.T) {
	calls := 33_000
	if testing.Short() {
		calls = 1_300
	}
	if text := os.Getenv("TANDEM_SECRETS"); text != "" {
		var err error
		if calls, err = strconv.Atoi(text); err != nil || calls < 2 {
			t.Fatalf("TANDEM_SECRETS is %q, want a number of calls", text)
		}
	}
	for method, name := range []string{"scan", "copy", "drop"} {
		t.Run(name, func(t *testing.T) {
			h, err := sandbox.NewHostWithReset(t.Context(), sandbox.Config{}, uint8(method))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}()
			if got := h.Stats().Reset; got != name {
				t.Skipf("this kernel resets by %s", got)
			}
			p := load(t, h, "secrets")
			var wg sync.WaitGroup
			began := time.Now()
			for g := range 2 {
				wg.Go(func() { hunt(t, p, g, calls/2) })
			}
			wg.Wait()
			t.Logf("%d calls in %v", calls/2*2, time.Since(began).Round(time.Millisecond))
		})
	}
}

// hunt calls the plugin in changing modes, with secrets of changing length.
func hunt(t *testing.T, p *sandbox.Plugin, seed, calls int) {
	t.Helper()
	secret := make([]byte, 40_000)
	for i := range secret {
		secret[i] = 0xE1
	}
	for i := range calls {
		mode := int32(i*7+seed) % 16
		if i%50 != 0 {
			mode &^= 9 // replacing an instance is tested now and then
		}
		in := []value.Value{int32s(mode), value.Bytes(secret[:(i*7919)%len(secret)], "")}
		r, err := p.Call(t.Context(), sandbox.Call{Function: "hunt", Inputs: in})
		var ce *sandbox.CallError
		if mode&8 != 0 && errors.As(err, &ce) && ce.Kind == sandbox.KindTrap {
			continue
		}
		if err != nil {
			t.Errorf("call %d: %v", i, err)
			return
		}
		r.Release()
		if n := int64of(t, r.Outputs[0]); n != 0 {
			t.Errorf("call %d finds %d traces of earlier calls", i, n)
			return
		}
	}
}

// A stateful plugin keeps what it has, but its arena is clear all the same.
func TestStateful(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	p := load(t, h, "stateful")
	for i := range 5 {
		r := call(t, p, "count", value.Bytes(make([]byte, 100*(5-i)), ""))
		if n := int64of(t, r.Outputs[0]); n != int64(i+1) {
			t.Errorf("call %d: got %d, want its state kept", i+1, n)
		}
		if n := int64of(t, r.Outputs[1]); n != 0 {
			t.Errorf("call %d finds %d dirty bytes in its arena", i+1, n)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				call(t, p, "count")
			}
		})
	}
	wg.Wait()
	if n := int64of(t, call(t, p, "count").Outputs[0]); n != 406 {
		t.Errorf("got %d, want 406: all calls in one instance", n)
	}
	r, err := p.Call(t.Context(), sandbox.Call{Function: "count", With: []byte(`{"other":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	if n := int64of(t, r.Outputs[0]); n != 1 {
		t.Errorf("another configuration: got %d, want a state of its own", n)
	}
	_, err = p.Call(t.Context(), sandbox.Call{Function: "trap"})
	wantError(t, err, sandbox.KindTrap, "", "unreachable")
	if n := int64of(t, call(t, p, "count").Outputs[0]); n != 1 {
		t.Errorf("after a trap: got %d, want a fresh state", n)
	}
}
