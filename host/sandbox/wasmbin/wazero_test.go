package wasmbin_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// features is what the runtime is allowed to do: the same set that wasmbin admits.
const features = api.CoreFeaturesV2 &^ api.CoreFeatureReferenceTypes

const fuelName = "tdm_fuel"

func options() wasmbin.Options {
	return wasmbin.Options{
		MaxPages:    65_536,
		YieldModule: "tdm_rt", YieldName: "yield",
		FuelGlobal:     fuelName,
		StopGlobal:     "tdm_stop",
		GlobalPrefix:   "tdm_g",
		DispatchTables: 1,
	}
}

// refill returns how much fuel a yield grants; left is what the fuel global holds, below zero.
type refill func(left int64) int64

// randomYield grants small pseudo-random amounts, so that fuel runs out everywhere.
func randomYield() refill {
	rng := rand.New(rand.NewPCG(1, 2))
	return func(int64) int64 { return rng.Int64N(200) }
}

// newRuntime returns a runtime with the yield import.
func newRuntime(t testing.TB, grant refill) wazero.Runtime {
	t.Helper()
	cfg := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features).WithDebugInfoEnabled(false)
	r := wazero.NewRuntimeWithConfig(t.Context(), cfg)
	t.Cleanup(func() { r.Close(context.WithoutCancel(t.Context())) })
	yield := api.GoModuleFunc(func(_ context.Context, mod api.Module, _ []uint64) {
		g := fuelOf(mod)
		g.Set(uint64(grant(int64(g.Get()))))
	})
	_, err := r.NewHostModuleBuilder("tdm_rt").NewFunctionBuilder().
		WithGoModuleFunction(yield, nil, nil).Export("yield").Instantiate(t.Context())
	if err != nil {
		t.Fatalf("host module: %v", err)
	}
	return r
}

func fuelOf(mod api.Module) api.MutableGlobal {
	g, _ := mod.ExportedGlobal(fuelName).(api.MutableGlobal)
	return g
}

func instantiate(t testing.TB, r wazero.Runtime, bin []byte, name string) (api.Module, error) {
	t.Helper()
	return r.InstantiateWithConfig(t.Context(), bin, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
}

// snapshot reads an instance's state.
func snapshot(t testing.TB, m *wasmbin.Module, w *wasmbin.Rewritten, mod api.Module) (wasmbin.Snapshot, []byte) {
	t.Helper()
	var s wasmbin.Snapshot
	for _, g := range w.Globals {
		s.Globals = append(s.Globals, mod.ExportedGlobal(g.Name).Get())
	}
	if !m.HasMemory() { // mod.Memory() is then a nil inside a non-nil interface
		return s, nil
	}
	s.Pages = mod.Memory().Size() >> 16
	mem, _ := mod.Memory().Read(0, mod.Memory().Size())
	return s, mem
}
