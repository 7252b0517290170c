package sandbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/value"
)

func loadGo(t testing.TB, h *sandbox.Host) *sandbox.Plugin {
	t.Helper()
	p, err := h.Load(t.Context(), sandboxtest.GoPlugin(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A plugin in Go: its runtime, heap, goroutines, timers and maps work, and no call sees what another left.
func TestGoPlugin(t *testing.T) {
	p := loadGo(t, newHost(t, sandbox.Config{}))
	for range 50 {
		if got, want := string(call(t, p, "words", value.Text("to be or not to be")).Outputs[0].Data), `["be=2","not=1","or=1","to=2"]`; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if got := string(call(t, p, "count").Outputs[0].Data); got != "1" {
			t.Fatalf("the plugin sees call number %s, want 1", got)
		}
	}
	if got := string(call(t, p, "grow").Outputs[0].Data); got != "64" {
		t.Errorf("got %s, want 64", got)
	}
	if got := string(call(t, p, "sleep").Outputs[0].Data); got != "60" {
		t.Errorf("a minute's sleep took %s s of the guest's time", got)
	}
	for function, text := range map[string]string{"panic": "panic: this is meant", "deadlock": "all goroutines are asleep"} {
		_, err := p.Call(t.Context(), sandbox.Call{Function: function})
		wantError(t, err, sandbox.KindTrap, "", text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, sandbox.Call{Function: "spin"})
	wantError(t, err, sandbox.KindDeadline, "", "ran out of time")
	if got := string(call(t, p, "count").Outputs[0].Data); got != "1" {
		t.Errorf("the plugin sees call number %s, want 1", got)
	}
}

func BenchmarkGoNothing(b *testing.B) {
	benchCall(b, loadGo(b, newHost(b, sandbox.Config{})), sandbox.Call{Function: "nothing"})
}

func BenchmarkGoWords(b *testing.B) {
	c := sandbox.Call{Function: "words", Inputs: []value.Value{value.Text("to be or not to be")}}
	benchCall(b, loadGo(b, newHost(b, sandbox.Config{})), c)
}

func BenchmarkLoadGo(b *testing.B) {
	sandboxtest.GoPlugin(b)
	for b.Loop() {
		h, err := sandbox.New(b.Context(), sandbox.Config{})
		if err != nil {
			b.Fatal(err)
		}
		loadGo(b, h)
		if err := h.Close(context.WithoutCancel(b.Context())); err != nil {
			b.Fatal(err)
		}
	}
}
