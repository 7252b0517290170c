package sandbox_test

import (
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
)

// BenchmarkPlain is what stock wazero needs for a call of the same plugins that does nothing: without any limit and with
// the same state for every call, with its own interruption, and with a fresh instance for every call.
func BenchmarkPlain(b *testing.B) {
	for _, module := range []struct {
		name string
		wasm func(testing.TB) []byte
	}{
		{"C", func(tb testing.TB) []byte { tb.Helper(); return sandboxtest.Module(tb, "values") }},
		{"Go", sandboxtest.GoPlugin},
	} {
		for _, mode := range []string{"shared", "interruptible", "fresh"} {
			b.Run(module.name+"/"+mode, func(b *testing.B) { benchPlain(b, module.wasm(b), mode) })
		}
	}
}

func benchPlain(b *testing.B, wasm []byte, mode string) {
	b.Helper()
	ctx := b.Context()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(mode == "interruptible"))
	defer func() { _ = rt.Close(ctx) }()
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	code, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		b.Fatal(err)
	}
	mod, run := plainInstance(b, rt, code)
	arena, err := mod.ExportedFunction(abi.ExportAlloc).Call(ctx, 65536, 4096)
	if err != nil {
		b.Fatal(err)
	}
	stack := make([]uint64, 1)
	for b.Loop() {
		if mode == "fresh" {
			if err := mod.Close(ctx); err != nil {
				b.Fatal(err)
			}
			mod, run = plainInstance(b, rt, code)
			if arena, err = mod.ExportedFunction(abi.ExportAlloc).Call(ctx, 65536, 4096); err != nil {
				b.Fatal(err)
			}
		}
		stack[0] = arena[0]
		if err := run.CallWithStack(ctx, stack); err != nil {
			b.Fatal(err)
		}
	}
}

func plainInstance(b *testing.B, rt wazero.Runtime, code wazero.CompiledModule) (api.Module, api.Function) {
	b.Helper()
	mod, err := rt.InstantiateModule(b.Context(), code, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		b.Fatal(err)
	}
	return mod, mod.ExportedFunction(abi.ExportRun)
}
