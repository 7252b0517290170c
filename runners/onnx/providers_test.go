package onnx_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners/onnx"
)

func TestParseProviders(t *testing.T) {
	t.Parallel()
	cuda := func(n int) onnx.Provider { return onnx.Provider{Name: onnx.CUDA, Device: n} }
	gpu := onnx.Provider{Name: onnx.WebGPU, Device: onnx.AnyDevice}
	for text, want := range map[string]onnx.Providers{
		"":                               {},
		"cpu":                            {},
		"require:webgpu":                 {On: []onnx.Provider{gpu}, Require: true},
		"prefer:cuda:0,webgpu":           {On: []onnx.Provider{cuda(0), gpu}},
		"prefer:cuda, cuda:255":          {On: []onnx.Provider{cuda(onnx.AnyDevice), cuda(255)}},
		"require:tensorrt:1,tensorrt:02": {On: []onnx.Provider{{Name: onnx.TensorRT, Device: 1}, {Name: onnx.TensorRT, Device: 2}}, Require: true},
	} {
		got, err := onnx.ParseProviders(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q, -want +got:\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"gpu":               "want cpu, prefer:LIST",
		"cuda:0":            "want cpu, prefer:LIST",
		"prefer":            "want cpu, prefer:LIST",
		"prefer:":           `"" is no provider`,
		"prefer:cuda:-1":    `"-1" is no device of cuda`,
		"prefer:cuda:256":   `"256" is no device of cuda`,
		"prefer:cuda:":      `"" is no device of cuda`,
		"require:webgpu:0":  "webgpu takes no device",
		"require:cpu":       "cpu stands alone",
		"prefer:rocm,cpu":   `"rocm" is no provider`,
		"prefer:cuda,,":     `"" is no provider`,
		"prefer:webgpu,npu": `"npu" is no provider`,
		"prefer:" + strings.Repeat("cuda,", 16) + "cuda": "at most 16",
	} {
		if _, err := onnx.ParseProviders(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
		}
	}
}

// TestOptionsJSON sends options through JSON, as they travel to a process that runs the model.
func TestOptionsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := onnx.Options{
			Threads: rapid.IntRange(0, 9).Draw(t, "threads"),
			Device:  rapid.IntRange(0, 9).Draw(t, "device"),
		}
		names := rapid.SliceOfN(rapid.SampledFrom([]string{onnx.CUDA, onnx.TensorRT, onnx.WebGPU}), 0, 4).Draw(t, "names")
		for _, name := range names {
			on := onnx.Provider{Name: name, Device: onnx.AnyDevice}
			if name != onnx.WebGPU {
				on.Device = rapid.IntRange(-1, 255).Draw(t, "device")
			}
			want.Providers.On = append(want.Providers.On, on)
		}
		want.Providers.Require = len(names) > 0 && rapid.Bool().Draw(t, "require")
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got onnx.Options
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s, -want +got:\n%s", text, diff)
		}
	})
	var got onnx.Options
	if err := json.Unmarshal([]byte(`{"Providers":"require:rocm"}`), &got); err == nil {
		t.Fatal("an unknown provider in JSON: got no error")
	}
}

func TestPlacementText(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]onnx.Placement{
		"cpu":                             {Provider: onnx.CPU, Device: onnx.AnyDevice},
		"cuda:1: 12 operators, cpu: 2":    {Provider: onnx.CUDA, Device: 1, Operators: map[string]int{onnx.CUDA: 12, onnx.CPU: 2}},
		"webgpu: 1 operators (cuda: no!)": {Provider: onnx.WebGPU, Device: onnx.AnyDevice, Operators: map[string]int{onnx.WebGPU: 1}, Missed: []string{"cuda: no!"}},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"load model: /onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1988 onnxruntime::Provider& f() [ONNXRuntimeError] : 1 : FAIL : Failed to load library /x/libonnxruntime_providers_shared.so with error: no such file\nagain": "Failed to load library libonnxruntime_providers_shared.so with error: no such file: the provider's library and those that it needs must lie where the system finds them; ONNX Runtime's GPU package has it",
		"/onnxruntime_src/onnxruntime/core/webgpu_context.cc:136 f() status == Success was false. Failed to get a WebGPU adapter: No supported adapters":                                                                                            "Failed to get a WebGPU adapter: No supported adapters: the machine has no Vulkan driver that WebGPU can use",
		"plain": "plain",
	} {
		if got := onnx.Lack(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
