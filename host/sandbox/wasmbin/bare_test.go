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
	w, err := m.Rewrite(wasmbin.Options{MaxPages: 100, YieldModule: "meter", YieldName: "yield", FuelGlobal: "fuel", StopGlobal: "stop", GlobalPrefix: "g", StartExport: "start"})
	if err != nil {
		t.Fatal(err)
	}
	bin, data, err := w.Bare()
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
	o := options()
	o.StartExport = "memory"
	var e *wasmbin.Error
	if _, err := m.Rewrite(o); !errors.As(err, &e) || e.Code != wasmbin.CodeReserved {
		t.Errorf("got %v, want the name to be reserved", err)
	}
}

// A start function that became an export runs when the host calls it, and leaves what its section would have.
func TestStartExport(t *testing.T) {
	t.Parallel()
	b := void(0x23, 0, 0x41, 7, 0x6a, 0x24, 0) // adds 7 to the global
	b.globals = [][]byte{{0x7f, 1, 0x41, 5, 0x0b}}
	b.exports = append(b.exports, export("n", 3, 0))
	b.start = []byte{0}
	m, err := wasmbin.Parse(b.bytes(), wasmbin.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRuntime(t, randomYield())
	for _, name := range []string{"", "start"} {
		o := options()
		o.StartExport = name
		w, err := m.Rewrite(o)
		if err != nil {
			t.Fatal(err)
		}
		mod, err := instantiate(t, r, w.Bin, "")
		if err != nil {
			t.Fatal(err)
		}
		if name != "" {
			if got := mod.ExportedGlobal("n").Get(); got != 5 {
				t.Errorf("the global is %d before the start function was called, want 5", got)
			}
			outcome(t.Context(), mod, name, nil)
		}
		if got := mod.ExportedGlobal("n").Get(); got != 12 {
			t.Errorf("the global is %d after the start, want 12", got)
		}
	}
}
