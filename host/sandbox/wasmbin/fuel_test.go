package wasmbin_test

import (
	"testing"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// fuelMeter runs functions of a module twice: once counting every instruction, once metered.
type fuelMeter struct {
	counted, metered api.Module
	granted          int64
}

func newFuelMeter(t *testing.T, bin []byte) *fuelMeter {
	t.Helper()
	f := &fuelMeter{}
	r := newRuntime(t, func(left int64) int64 {
		const grant = 1 << 40
		f.granted += grant - left
		return grant
	})
	wasi_snapshot_preview1.MustInstantiate(t.Context(), r)
	m, err := wasmbin.Parse(bin, wasmbin.DefaultLimits(), importsOf(t, r, bin))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	w, err := m.Rewrite(options())
	if err != nil {
		t.Fatalf("rewrite: %v", err)
	}
	f.counted, f.metered = kernelModule(t, r, wasmbin.CountInstructions(m, "count")), kernelModule(t, r, w.Bin)
	return f
}

// call returns how many instructions a call executes, and how many it is charged.
func (f *fuelMeter) call(t *testing.T, fn string, arg uint64) (executed, charged int64) {
	t.Helper()
	count := func() int64 { return int64(f.counted.ExportedGlobal("count").Get()) }
	spent := func() int64 { return f.granted - int64(fuelOf(f.metered).Get()) }
	e, c := count(), spent()
	for _, mod := range []api.Module{f.counted, f.metered} {
		if _, err := mod.ExportedFunction(fn).Call(t.Context(), arg); err != nil {
			t.Fatalf("%s: %v", fn, err)
		}
	}
	return count() - e, spent() - c
}

// Fuel is the number of instructions that ran, or up to twice as much: what compilers make of real code, and above all
// Go's, whose functions are loops around a jump table, is far closer to it.
func TestFuelIsTrue(t *testing.T) {
	t.Parallel()
	meters := map[string]*fuelMeter{}
	for _, k := range sandboxtest.Kernels() {
		if testing.Short() && k.File == "go.wasm" {
			continue
		}
		if meters[k.File] == nil {
			bin, err := sandboxtest.KernelModule(t.Context(), k.File)
			if err != nil {
				t.Fatal(err)
			}
			meters[k.File] = newFuelMeter(t, bin)
		}
		arg := k.Arg
		if k.Func == "spin" {
			arg = 100_000
		}
		executed, charged := meters[k.File].call(t, k.Func, arg)
		if ratio := float64(charged) / float64(executed); ratio < 1 || ratio > 1.3 {
			t.Errorf("%s %s: charged %d for %d instructions, want 1 to 1.3 times as many", k.File, k.Func, charged, executed)
		}
	}
}

// Fuel of a Go plugin grows with its work.
func TestFuelIsLinear(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles a module in Go twice")
	}
	bin, err := sandboxtest.KernelModule(t.Context(), "go.wasm")
	if err != nil {
		t.Fatal(err)
	}
	f := newFuelMeter(t, bin)
	var last int64
	for n := uint64(100_000); n <= 800_000; n *= 2 {
		_, charged := f.call(t, "sumf", n)
		if growth := float64(charged) / float64(last); last > 0 && (growth < 1.9 || growth > 2.1) {
			t.Errorf("twice the work, %d, took %.2f times the fuel", n, growth)
		}
		last = charged
	}
}
