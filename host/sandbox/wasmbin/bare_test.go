package wasmbin_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// A bare module whose data the host writes has the same memory as the module itself, and runs its start function when it
// is called.
func TestBare(t *testing.T) {
	ctx := t.Context()
	rt := wazero.NewRuntime(ctx)
	defer func() { _ = rt.Close(ctx) }()
	yield := api.GoModuleFunc(func(_ context.Context, m api.Module, _ []uint64) {
		if g, ok := m.ExportedGlobal("fuel").(api.MutableGlobal); ok {
			g.Set(1 << 40)
		}
	})
	if _, err := rt.NewHostModuleBuilder("meter").NewFunctionBuilder().WithGoModuleFunction(yield, nil, nil).Export("yield").Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	instance := func(bin []byte) api.Module {
		m, err := rt.InstantiateWithConfig(ctx, bin, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	content := func(m api.Module) []byte {
		b, _ := m.Memory().Read(0, m.Memory().Size())
		return b
	}
	src, err := os.ReadFile(filepath.Join("..", "sandboxtest", "testdata", "values.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasmbin.Parse(src, wasmbin.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Rewrite(wasmbin.Options{MaxPages: 100, YieldModule: "meter", YieldName: "yield", FuelGlobal: "fuel", StopGlobal: "stop", GlobalPrefix: "g"})
	if err != nil {
		t.Fatal(err)
	}
	bin, data, err := w.Bare("start")
	if err != nil {
		t.Fatal(err)
	}
	bare := instance(bin)
	if b := content(bare); !bytes.Equal(b, make([]byte, len(b))) {
		t.Error("the bare module has data")
	}
	for _, d := range data {
		bare.Memory().Write(d.Offset, d.Bytes)
	}
	if !bytes.Equal(content(bare), content(instance(w.Bin))) {
		t.Error("the memories differ")
	}
	if bare.ExportedFunction("start") != nil {
		t.Error("a module without a start function exports one")
	}
	var e *wasmbin.Error
	if _, _, err := w.Bare("memory"); !errors.As(err, &e) || e.Code != wasmbin.CodeReserved {
		t.Errorf("got %v, want the name to be reserved", err)
	}
}
