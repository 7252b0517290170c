package wasmbin_test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// kernel is one hot function of a module in testdata/kernels. The README there says how they are built.
type kernel struct {
	file, fn string
	arg      uint64
}

func kernels() []kernel {
	return []kernel{
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
	}
}

// kernelBinary reads a kernel module, or builds the one in Go.
func kernelBinary(t testing.TB, file string) []byte {
	t.Helper()
	path := filepath.Join("testdata", "kernels", file)
	if file == "go.wasm" {
		path = filepath.Join(t.TempDir(), file)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "main.go")
		cmd.Dir = filepath.Join("testdata", "kernels", "go")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build the Go kernel: %v\n%s", err, out)
		}
	}
	bin, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

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

const quantum = 1_000_000

func TestKernelsAgree(t *testing.T) {
	t.Parallel()
	modules := map[string][2]api.Module{}
	for _, k := range kernels() {
		if testing.Short() && k.file == "go.wasm" {
			continue
		}
		pair, ok := modules[k.file]
		if !ok {
			pair[0], pair[1] = kernelModules(t, kernelBinary(t, k.file), randomYield())
			modules[k.file] = pair
		}
		arg := k.arg
		if k.fn == "spin" {
			arg = 100_000
		}
		want := outcome(t.Context(), pair[0], k.fn, []uint64{arg})
		if got := outcome(t.Context(), pair[1], k.fn, []uint64{arg}); got != want {
			t.Errorf("%s %s: got %s, want %s", k.file, k.fn, got, want)
		}
	}
}

// BenchmarkMetering runs each kernel plain and metered in turn and reports the fastest of each and their ratio.
func BenchmarkMetering(b *testing.B) {
	product, n := 0.0, 0
	binaries := map[string][]byte{}
	for _, k := range kernels() {
		bin, ok := binaries[k.file]
		if !ok {
			bin = kernelBinary(b, k.file)
			binaries[k.file] = bin
		}
		var ratio float64
		b.Run(k.file+"/"+k.fn, func(b *testing.B) {
			plain, metered := kernelModules(b, bin, func(int64) int64 { return quantum })
			// Looked up once, as the host does: a new call stack for each call makes some kernels faster at random.
			fns := []api.Function{plain.ExportedFunction(k.fn), metered.ExportedFunction(k.fn)}
			best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
			for b.Loop() {
				for i, fn := range fns {
					start := time.Now()
					if _, err := fn.Call(b.Context(), k.arg); err != nil {
						b.Fatal(err)
					}
					best[i] = min(best[i], time.Since(start))
				}
			}
			ratio = float64(best[1]) / float64(best[0])
			b.ReportMetric(float64(best[0])/1e6, "plain-ms")
			b.ReportMetric(float64(best[1])/1e6, "metered-ms")
			b.ReportMetric(ratio, "ratio")
			b.ReportMetric(0, "ns/op")
		})
		if ratio > 0 {
			product += math.Log(ratio)
			n++
		}
	}
	if n > 0 {
		b.Logf("geometric mean of %d kernels: %.3f", n, math.Exp(product/float64(n)))
	}
}
