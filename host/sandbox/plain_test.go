package sandbox_test

import (
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
)

// BenchmarkPlain is what stock wazero needs for a call of the same plugins that does nothing: without any limit and with
// the same state for every call, with its own interruption, and with a fresh instance for every call.
func BenchmarkPlain(b *testing.B) {
	for _, module := range []struct {
		name string
		wasm []byte
	}{
		{"C", sandboxtest.Module(b, "values")},
		{"Go", sandboxtest.GoPlugin(b)},
	} {
		for _, mode := range []string{"shared", "interruptible", "fresh"} {
			b.Run(module.name+"/"+mode, func(b *testing.B) { benchPlain(b, module.wasm, mode) })
		}
	}
}

func benchPlain(b *testing.B, wasm []byte, mode string) {
	b.Helper()
	ctx := b.Context()
	p, err := sandboxtest.NewPlain(ctx, wasm, mode == "interruptible")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close(ctx) }()
	for b.Loop() {
		if mode == "fresh" {
			if err := p.Renew(ctx); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Call(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
