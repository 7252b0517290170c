//go:build cgo && (linux || darwin)

package onnx_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func providers(tb testing.TB, text string) onnx.Options {
	tb.Helper()
	p, err := onnx.ParseProviders(text)
	if err != nil {
		tb.Fatal(err)
	}
	return onnx.Options{Providers: p}
}

// TestProviderThatIsNotThere wants a device that no machine has.
func TestProviderThatIsNotThere(t *testing.T) {
	t.Parallel()
	model := onnxtest.AddSub().Bytes()
	for _, name := range []string{"cuda:255", "tensorrt:255", "cuda:255,tensorrt:255"} {
		_, err := open(t).Load(t.Context(), model, providers(t, "require:"+name))
		if !errors.Is(err, runners.ErrUnavailable) || !strings.Contains(err.Error(), "must not run on the CPU (require:"+name+")") {
			t.Errorf("require %s: got %v, want ErrUnavailable that names it", name, err)
		}
		m := load(t, onnxtest.AddSub(), providers(t, "prefer:"+name))
		got := m.Placement()
		if got.Provider != onnx.CPU || got.Operators != nil || len(got.Missed) != strings.Count(name, ",")+1 || !strings.HasPrefix(got.Missed[0], name[:len("cuda:")]) {
			t.Errorf("prefer %s: got %+v, want the CPU and why", name, got)
		}
		if addSub(t, m) != [2]float32{3, -1} {
			t.Errorf("prefer %s: wrong answer on the CPU", name)
		}
	}
}

// TestProviderAndBadModel: what is wrong with the model is not blamed on the provider.
func TestProviderAndBadModel(t *testing.T) {
	t.Parallel()
	bad := onnxtest.Identity(runners.FP32, nil)
	bad.Graph.Nodes[0].Op = "NoSuchOperator"
	for _, text := range []string{"cpu", "prefer:cuda:255,webgpu", "require:cuda:255", "require:webgpu"} {
		_, err := open(t).Load(t.Context(), bad.Bytes(), providers(t, text))
		if !errors.Is(err, runners.ErrModel) || errors.Is(err, runners.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrModel", text, err)
		}
	}
}

func TestProviderLoadStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t).Load(ctx, onnxtest.AddSub().Bytes(), providers(t, "prefer:cuda:255")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// addSub runs an AddSub model on 1 and 2.
func addSub(tb testing.TB, m runners.Runner) [2]float32 {
	tb.Helper()
	row := func(v float32) runners.Tensor {
		var data []byte
		for range 3 {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		return runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3}, Data: data}
	}
	out := make([]runners.Tensor, 2)
	if err := m.Run(tb.Context(), []runners.Tensor{row(1), row(2)}, out); err != nil {
		tb.Fatal(err)
	}
	var got [2]float32
	for i := range out {
		got[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[i].Data))
		out[i].Release()
	}
	return got
}

// testSameSize gives room of the right size and another shape: what a device copies back is compared by size alone.
func testSameSize(t *testing.T, m runners.Runner) {
	t.Helper()
	in := runners.Tensor{DType: runners.FP32, Shape: []int64{2, 3}, Data: make([]byte, 24)}
	out := []runners.Tensor{{DType: runners.FP32, Shape: []int64{3, 2}, Data: make([]byte, 24)}}
	if err := m.Run(t.Context(), []runners.Tensor{in}, out); !errors.Is(err, runners.ErrShape) {
		t.Errorf("room for [3 2] where [2 3] comes: got %v, want ErrShape", err)
	}
}

// vulkanChild marks the process in which WebGPU finds the software driver: Vulkan's loader reads the environment of the
// process as it was when it began.
const vulkanChild = "TANDEM_TEST_VULKAN"

// TestWebGPU runs the parts below in a process of its own over SwiftShader.
func TestWebGPU(t *testing.T) {
	t.Parallel()
	if os.Getenv(vulkanChild) != "" {
		t.Skip("this is the process of its own")
	}
	env, err := ortlib.SwiftShader(".")
	if err != nil {
		t.Skipf("no software driver for Vulkan: %v", err)
	}
	if !slices.Contains(open(t).Providers(), onnx.WebGPU) {
		t.Skipf("this ONNX Runtime was built without WebGPU: it has %v", open(t).Providers())
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.run=^TestOnWebGPU$", "-test.v", "-test.count=1", fmt.Sprintf("-test.short=%v", testing.Short()))
	cmd.Env = append(os.Environ(), vulkanChild+"=1")
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "--- PASS: TestOnWebGPU/a_part_on_the_CPU") {
		t.Fatalf("on WebGPU: %v\n%s", err, said)
	}
}

// TestOnWebGPU is what TestWebGPU runs.
func TestOnWebGPU(t *testing.T) {
	if os.Getenv(vulkanChild) == "" {
		t.Skip("TestWebGPU runs it where Vulkan is")
	}
	t.Run("require", func(t *testing.T) {
		m := load(t, onnxtest.AddSub(), providers(t, "require:webgpu"))
		if got := m.Placement().String(); got != "webgpu: 2 operators" {
			t.Errorf("got %s", got)
		}
		if got := addSub(t, m); got != [2]float32{3, -1} {
			t.Errorf("got %v, want 3 and -1", got)
		}
	})
	t.Run("require what it cannot run", func(t *testing.T) {
		_, err := open(t).Load(t.Context(), onnxtest.Upper().Bytes(), providers(t, "require:webgpu"))
		if !errors.Is(err, runners.ErrUnavailable) || !strings.Contains(err.Error(), "none of the model's operators") {
			t.Errorf("got %v, want ErrUnavailable and why", err)
		}
	})
	t.Run("prefer what it cannot run", func(t *testing.T) {
		got := load(t, onnxtest.Upper(), providers(t, "prefer:webgpu")).Placement()
		if got.Provider != onnx.CPU || !slices.Equal(got.Missed, []string{"webgpu: it takes none of the model's operators"}) {
			t.Errorf("got %+v, want the CPU and why", got)
		}
	})
	t.Run("second choice", func(t *testing.T) {
		got := load(t, onnxtest.AddSub(), providers(t, "require:cuda:255,webgpu")).Placement()
		if got.Provider != onnx.WebGPU || len(got.Missed) != 1 || !strings.HasPrefix(got.Missed[0], "cuda:255: ") {
			t.Errorf("got %+v, want webgpu, and why not cuda:255", got)
		}
	})
	t.Run("a part on the CPU", func(t *testing.T) {
		got := load(t, onnxtest.Slow(), providers(t, "require:webgpu")).Placement()
		if got.Provider != onnx.WebGPU || got.Operators[onnx.WebGPU] == 0 || got.Operators[onnx.CPU] == 0 {
			t.Errorf("got %+v, want operators on both", got)
		}
	})
	t.Run("shapes of one size", func(t *testing.T) {
		testSameSize(t, load(t, onnxtest.Identity(runners.FP32, []runners.Dim{{Size: -1}, {Size: -1}}), providers(t, "prefer:webgpu")))
	})
	t.Run("conformance", func(t *testing.T) {
		if testing.Short() {
			t.Skip("not in short mode: shaders take seconds to compile")
		}
		m := makers(providers(t, "prefer:webgpu"))
		m.Broken = nil // reading beyond a tensor is no failure on a GPU: it gives something, of that tensor
		m.Slow = nil   // its turns take as long as a CPU needs to play a GPU, and shaders to compile
		runnertest.Test(t, m)
	})
}
