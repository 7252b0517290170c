package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// Kernel is one hot function of a module on which the cost of metering is measured. The README beside the modules, in
// wasmbin/testdata/kernels, says how they are built.
type Kernel struct {
	File, Func string
	Arg        uint64
}

// Kernels lists all of them.
func Kernels() []Kernel {
	return []Kernel{
		{"c.wasm", "spin", 20_000_000},
		{"c.wasm", "fib", 27},
		{"c.wasm", "sumf", 1 << 20},
		{"c.wasm", "normalise", 1 << 20},
		{"c.wasm", "argmax", 1 << 20},
		{"c.wasm", "softmax", 1 << 20},
		{"c.wasm", "bilinear", 4},
		{"c.wasm", "sort", 50_000},
		{"c.wasm", "crc", 200_000},
		{"c_simd.wasm", "normalise", 1 << 20},
		{"c_simd.wasm", "softmax", 1 << 20},
		{"as.wasm", "spin", 20_000_000},
		{"as.wasm", "fib", 27},
		{"as.wasm", "sumf", 1 << 20},
		{"go.wasm", "spin", 20_000_000},
		{"go.wasm", "fib", 25},
		{"go.wasm", "sumf", 1 << 20},
		{"go.wasm", "mixed", 20_000},
	}
}

// KernelModule reads a module of kernels, or builds the one in Go.
func KernelModule(ctx context.Context, file string) (_ []byte, err error) {
	path := filepath.Join(dir(), "..", "wasmbin", "testdata", "kernels", file)
	if file == "go.wasm" {
		tmp, err := os.MkdirTemp("", "kernels")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
		cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", filepath.Join(tmp, file), "main.go") //nolint:gosec // a test's own folder
		cmd.Dir = filepath.Join(filepath.Dir(path), "go")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the kernels in Go: %w\n%s", err, out)
		}
		path = filepath.Join(tmp, file)
	}
	return os.ReadFile(path) //nolint:gosec // a test's own data
}

// Metering holds a module of kernels plain and metered, on stock wazero. It is for one goroutine.
type Metering struct {
	rt             wazero.Runtime
	plain, metered api.Module
}

// NewMetering instantiates a module both ways. The caller closes it.
func NewMetering(ctx context.Context, wasm []byte) (m *Metering, err error) {
	const quantum = 1_000_000
	o := wasmbin.Options{MaxPages: 1 << 16, YieldModule: "__bench", YieldName: "yield", FuelGlobal: "__fuel", StopGlobal: "__stop", GlobalPrefix: "__g", DispatchTables: 512}
	m = &Metering{rt: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2&^api.CoreFeatureReferenceTypes))}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.rt.Close(ctx))
		}
	}()
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, m.rt); err != nil {
		return nil, err
	}
	refill := api.GoModuleFunc(func(_ context.Context, mod api.Module, _ []uint64) {
		if fuel, ok := mod.ExportedGlobal(o.FuelGlobal).(api.MutableGlobal); ok {
			fuel.Set(quantum)
		}
	})
	_, err = m.rt.NewHostModuleBuilder(o.YieldModule).NewFunctionBuilder().WithGoModuleFunction(refill, nil, nil).Export(o.YieldName).Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	code, err := m.rt.CompileModule(ctx, wasm)
	if err != nil {
		return nil, err
	}
	mod, err := wasmbin.Parse(wasm, wasmbin.DefaultLimits(), importsOf(code))
	if err != nil {
		return nil, err
	}
	w, err := mod.Rewrite(o)
	if err != nil {
		return nil, err
	}
	if m.plain, err = m.instantiate(ctx, wasm); err != nil {
		return nil, err
	}
	m.metered, err = m.instantiate(ctx, w.Bin)
	return m, err
}

func importsOf(code wazero.CompiledModule) (all []wasmbin.Import) {
	types := func(list []api.ValueType) (out []wasmbin.ValueType) {
		for _, t := range list {
			out = append(out, wasmbin.ValueType(t))
		}
		return out
	}
	for _, fn := range code.ImportedFunctions() {
		module, name, _ := fn.Import()
		all = append(all, wasmbin.Import{Module: module, Name: name, Params: types(fn.ParamTypes()), Results: types(fn.ResultTypes())})
	}
	return all
}

func (m *Metering) instantiate(ctx context.Context, wasm []byte) (api.Module, error) {
	mod, err := m.rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, err
	}
	if setup := mod.ExportedFunction("setup"); setup != nil {
		_, err = setup.Call(ctx)
	}
	return mod, err
}

// Time runs a kernel both ways in turn for a while and returns the fastest of each.
func (m *Metering) Time(ctx context.Context, k Kernel, each time.Duration) (plain, metered time.Duration, err error) {
	// Looked up once, as the host does: a new call stack for each call makes some kernels faster at random.
	fns := [2]api.Function{m.plain.ExportedFunction(k.Func), m.metered.ExportedFunction(k.Func)}
	best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
	for until, n := time.Now().Add(each), 0; n < 3 || time.Now().Before(until); n++ {
		for i, fn := range fns {
			began := time.Now()
			if _, err := fn.Call(ctx, k.Arg); err != nil {
				return 0, 0, fmt.Errorf("kernel %s %s: %w", k.File, k.Func, err)
			}
			best[i] = min(best[i], time.Since(began))
		}
	}
	return best[0], best[1], nil
}

// Close frees everything.
func (m *Metering) Close(ctx context.Context) error { return m.rt.Close(ctx) }
