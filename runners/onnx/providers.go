package onnx

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Execution providers, by the names that people use.
const (
	CPU      = "cpu"
	CUDA     = "cuda"
	TensorRT = "tensorrt"
	WebGPU   = "webgpu"
)

// AnyDevice is the Device of a provider that names none.
const AnyDevice = -1

// Provider is an execution provider on one of its devices.
type Provider struct {
	// Name is one of the constants above.
	Name string
	// Device counts the devices of CUDA and TensorRT from 0, as the driver does; AnyDevice leaves it to [Options.Device].
	// The others have only AnyDevice.
	Device int
}

// String returns the provider as it is written: "cuda:0", "webgpu".
func (p Provider) String() string {
	if p.Device < 0 {
		return p.Name
	}
	return p.Name + ":" + strconv.Itoa(p.Device)
}

// Providers say where a model is to run. The zero value is the CPU. As text, and so in JSON, it is "cpu",
// "prefer:cuda:0,webgpu" or "require:webgpu".
type Providers struct {
	// On are tried in this order; what none of them takes runs on the CPU. Empty means the CPU.
	On []Provider
	// Require makes it an error that none of On can run the model. Otherwise it runs on the CPU then.
	Require bool
}

// maxProviders bounds a list: there are no more that make sense.
const maxProviders = 16

// ParseProviders reads the text form; "" is the CPU. The error tells what may be written.
func ParseProviders(text string) (Providers, error) {
	if text == "" || text == CPU {
		return Providers{}, nil
	}
	policy, list, ok := strings.Cut(text, ":")
	if !ok || (policy != "prefer" && policy != "require") {
		return Providers{}, fmt.Errorf("providers %q: want cpu, prefer:LIST or require:LIST with providers such as cuda:0, tensorrt:0 and webgpu, separated by commas", text)
	}
	p := Providers{Require: policy == "require"}
	items := strings.Split(list, ",")
	if len(items) > maxProviders {
		return Providers{}, fmt.Errorf("providers: %d in the list, at most %d are allowed", len(items), maxProviders)
	}
	var faults []error
	for _, item := range items {
		on, err := parseProvider(strings.TrimSpace(item))
		faults = append(faults, err)
		p.On = append(p.On, on)
	}
	if err := errors.Join(faults...); err != nil {
		return Providers{}, fmt.Errorf("providers %q: %w", text, err)
	}
	return p, nil
}

func parseProvider(text string) (Provider, error) {
	name, device, numbered := strings.Cut(text, ":")
	p := Provider{Name: name, Device: AnyDevice}
	switch name {
	case CUDA, TensorRT:
		if !numbered {
			return p, nil
		}
		n, err := strconv.ParseUint(device, 10, 8)
		if err != nil {
			return p, fmt.Errorf("%q is no device of %s: want a number from 0, as in %s:0", device, name, name)
		}
		p.Device = int(n)
		return p, nil
	case WebGPU:
		if numbered {
			return p, errors.New("webgpu takes no device: it uses the system's first choice")
		}
		return p, nil
	case CPU:
		return p, errors.New("cpu stands alone: prefer falls back to it, require does not")
	}
	return p, fmt.Errorf("%q is no provider: there are cuda, tensorrt and webgpu", text)
}

// String returns the text form.
func (p Providers) String() string {
	if len(p.On) == 0 {
		return CPU
	}
	names := make([]string, len(p.On))
	for i, on := range p.On {
		names[i] = on.String()
	}
	if p.Require {
		return "require:" + strings.Join(names, ",")
	}
	return "prefer:" + strings.Join(names, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (p Providers) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Providers) UnmarshalText(text []byte) error {
	got, err := ParseProviders(string(text))
	if err == nil {
		*p = got
	}
	return err
}

// Placement is where a loaded model runs.
type Placement struct {
	// Provider is the one that runs the model, or as much of it as it can.
	Provider string `json:"provider"`
	// Device is Provider's device, AnyDevice where it has none.
	Device int `json:"device"`
	// Operators counts the model's operators by the provider that runs them, after ONNX Runtime merged what it could. Those
	// that Provider does not know run on others. Empty when all run on the CPU.
	Operators map[string]int `json:"operators,omitempty"`
	// Missed says why a provider that comes earlier in the list does not run the model. Default: empty, the first does.
	Missed []string `json:"missed,omitempty"`
}

// String returns the placement for people: "webgpu: 12 operators, cpu: 2", "cpu (cuda:0: ...)".
func (p Placement) String() string {
	var text strings.Builder
	text.WriteString(Provider{Name: p.Provider, Device: p.Device}.String())
	if n := p.Operators[p.Provider]; n > 0 {
		fmt.Fprintf(&text, ": %d operators", n)
	}
	for _, name := range sortedKeys(p.Operators) {
		if name != p.Provider {
			fmt.Fprintf(&text, ", %s: %d", name, p.Operators[name])
		}
	}
	if len(p.Missed) > 0 {
		fmt.Fprintf(&text, " (%s)", strings.Join(p.Missed, "; "))
	}
	return text.String()
}

// ortNames are ONNX Runtime's names of the providers.
func ortNames() map[string]string {
	return map[string]string{
		"CPUExecutionProvider": CPU, "CUDAExecutionProvider": CUDA, "TensorrtExecutionProvider": TensorRT,
		"NvTensorRTRTXExecutionProvider": "tensorrt-rtx", "WebGpuExecutionProvider": WebGPU,
	}
}

// providerName returns our name of one of ONNX Runtime's providers, or its own.
func providerName(ort string) string {
	if name, ok := ortNames()[ort]; ok {
		return name
	}
	return ort
}
