package wasmbin_test

import (
	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"os"
	"testing"
)

func TestZZDump(t *testing.T) {
	in := os.Getenv("DUMP_IN")
	if in == "" {
		t.Skip()
	}
	b, _ := os.ReadFile(in)
	r := newRuntime(t, nil)
	wasi_snapshot_preview1.MustInstantiate(t.Context(), r)
	m, err := wasmbin.Parse(b, wasmbin.DefaultLimits(), importsOf(t, r, b))
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Rewrite(options())
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(os.Getenv("DUMP_OUT"), w.Bin, 0o644)
}
