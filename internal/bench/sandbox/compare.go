package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/bench/load"
)

// root returns the project's folder.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// metering measures what metering costs on each kernel, and the geometric mean.
func (s *suite) metering(ctx context.Context) (err error) {
	product, n := 0.0, 0
	modules := map[string]*sandboxtest.Metering{}
	defer func() {
		for _, m := range modules {
			err = errors.Join(err, m.Close(ctx))
		}
	}()
	for _, k := range sandboxtest.Kernels() {
		if s.r.Quick && k.File == "go.wasm" { // takes seconds to compile
			continue
		}
		if modules[k.File] == nil {
			wasm, err := sandboxtest.KernelModule(ctx, k.File)
			if err != nil {
				return err
			}
			if modules[k.File], err = sandboxtest.NewMetering(ctx, wasm); err != nil {
				return err
			}
		}
		plain, metered, err := modules[k.File].Time(ctx, k, s.each/2)
		if err != nil {
			return err
		}
		ratio := float64(metered) / float64(plain)
		product += math.Log(ratio)
		n++
		s.r.Add("metering, "+strings.TrimSuffix(k.File, ".wasm")+" "+k.Func, ratio, "x plain")
	}
	s.r.AtMost("metering, geometric mean", math.Exp(product/float64(n)), "x plain", 1.25)
	return nil
}

// extism times Extism's Go SDK, which is in a module of its own that the registry must have.
func (s *suite) extism(ctx context.Context) error {
	if s.r.Quick {
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", "run", ".", (s.each / 2).String())
	cmd.Dir = filepath.Join(root(), "internal", "bench", "extism")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Extism is not measured:", err)
		return nil
	}
	var micros map[string]float64
	if err := json.Unmarshal(out, &micros); err != nil {
		return fmt.Errorf("read what Extism took: %w", err)
	}
	for _, name := range []string{"call", "instance and call", "tensor"} {
		what := map[string]string{"tensor": "4 MiB in and out"}[name]
		if what == "" {
			what = name
		}
		s.r.Add("Extism C, "+what+" p50", micros[name], "us")
	}
	return nil
}

// image times the stock plugin that prepares images beside the same C code, compiled natively with SSE4.1.
func (s *suite) image(ctx context.Context) error {
	wasm, err := os.ReadFile(filepath.Join(root(), "plugins", "image", "image.wasm"))
	if err != nil {
		return err
	}
	p, err := s.host.Load(ctx, wasm)
	if err != nil {
		return err
	}
	img := value.Tensor(abi.UINT8, []int64{480, 640, 3}, make([]byte, 480*640*3))
	var inside load.Histogram
	res, err := load.Loop{Duration: s.each, Warmup: s.each / 4}.Run(ctx, func(ctx context.Context, _ int) error {
		r, err := p.Call(ctx, sandbox.Call{Function: "prepare", Inputs: []value.Value{img}, Lease: true})
		if err == nil {
			inside.Add(r.CPU)
			r.Release()
		}
		return err
	})
	if err != nil {
		return err
	}
	s.r.Add("image 640x480 to 224x224, whole call p50", micros(res.Latency.Quantile(.5)), "us")
	s.r.Add("the same inside the guest p50", micros(inside.Quantile(.5)), "us")
	fast := micros(inside.Quantile(fastest))
	s.r.Add("the same inside the guest, fastest twentieth", fast, "us")
	native, err := s.nativeImage(ctx)
	if err != nil || native == 0 {
		return err
	}
	s.r.Add("the same in native C with SIMD, fastest twentieth", native, "us")
	s.r.AtMost("image, guest beside native C", fast/native, "x", 1.5)
	return nil
}

// fastest is the quantile at which the two are compared: on a busy machine medians say more about others.
const fastest = 0.05

// nativeImage returns the microseconds that the native twin takes, 0 where no compiler builds it.
func (s *suite) nativeImage(ctx context.Context) (float64, error) {
	if _, err := exec.LookPath("gcc"); err != nil || runtime.GOARCH != "amd64" {
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "tandem-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "image")
	source := filepath.Join(root(), "internal", "bench", "sandbox", "testdata", "image.c")
	build := exec.CommandContext(ctx, "gcc", "-O3", "-march=native", "-I", filepath.Join(root(), "plugins", "image"), "-o", bin, source)
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the native twin: %w\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, bin, strconv.FormatInt(int64(s.each/2/time.Millisecond), 10)).Output()
	if err != nil {
		return 0, fmt.Errorf("run the native twin: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
