package wasmbin_test

import (
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// kernelModules instantiates a kernel module plain and metered.
func kernelModules(t testing.TB, bin []byte, grant refill) (plain, metered api.Module) {
	t.Helper()
	r := newRuntime(t, grant)
	wasi_snapshot_preview1.MustInstantiate(t.Context(), r)
	m, err := wasmbin.Parse(bin, wasmbin.DefaultLimits(), importsOf(t, r, bin))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	w, err := m.Rewrite(options())
	if err != nil {
		t.Fatalf("rewrite: %v", err)
	}
	return kernelModule(t, r, bin), kernelModule(t, r, w.Bin)
}

func kernelModule(t testing.TB, r wazero.Runtime, bin []byte) api.Module {
	t.Helper()
	mod, err := instantiate(t, r, bin, "")
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	for _, name := range []string{"_initialize", "setup"} {
		if fn := mod.ExportedFunction(name); fn != nil {
			if _, err := fn.Call(t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	return mod
}

func TestKernelsAgree(t *testing.T) {
	t.Parallel()
	modules := map[string][2]api.Module{}
	for _, k := range sandboxtest.Kernels() {
		if testing.Short() && k.File == "go.wasm" {
			continue
		}
		pair, ok := modules[k.File]
		if !ok {
			bin, err := sandboxtest.KernelModule(t.Context(), k.File)
			if err != nil {
				t.Fatal(err)
			}
			pair[0], pair[1] = kernelModules(t, bin, randomYield())
			modules[k.File] = pair
		}
		arg := k.Arg
		if k.Func == "spin" {
			arg = 100_000
		}
		want := outcome(t.Context(), pair[0], k.Func, []uint64{arg})
		if got := outcome(t.Context(), pair[1], k.Func, []uint64{arg}); got != want {
			t.Errorf("%s %s: got %s, want %s", k.File, k.Func, got, want)
		}
	}
}
