package server

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/runners/plan"
)

// FindONNXRuntime returns the path of ONNX Runtime's library: what the environment names, else the one that the set-up
// put below dir or a folder above it. The error says how to get it.
func FindONNXRuntime(getenv func(string) string, dir string) (string, error) {
	return ortlib.Find(getenv, dir)
}

// models is what the server needs of what runs its models.
type models interface {
	control.Models
	version() string // of ONNX Runtime, "" when there is none
	missing() string // why there is none
}

// openModels gets what runs models ready: workers, or ONNX Runtime in this process. A server without it still runs plugins, and
// says so to those who want more.
func (s *Server) openModels(ctx context.Context, p *parts) error {
	providers, err := onnx.ParseProviders(s.cfg.Providers)
	if err != nil {
		return err
	}
	switch {
	case s.cfg.ONNXRuntime == "":
		why := s.cfg.ONNXRuntimeMissing
		if why == "" {
			why = "no ONNX Runtime library was named"
		}
		p.models = noModels{why}
		return nil
	case len(s.cfg.WorkerCommand) > 0:
		return s.openWorkers(ctx, p, providers)
	}
	rt, err := onnx.Open(ctx, onnx.Config{Library: s.cfg.ONNXRuntime, Threads: s.machine().Whole(), Logger: s.cfg.Logger})
	if err != nil {
		return fmt.Errorf("load ONNX Runtime: %w", err)
	}
	p.models = &localModels{runtime: rt, providers: providers}
	return nil
}

// checked checks model files; nothing native is needed for that.
type checked struct{}

// Check implements control.Models.
func (checked) Check(model []byte) error { return onnx.Check(model, onnx.Limits{}) }

// noModels stands in where there is no ONNX Runtime.
type noModels struct{ why string }

func (noModels) version() string   { return "" }
func (m noModels) missing() string { return m.why }

// Check implements control.Models.
func (noModels) Check(model []byte) error { return checked{}.Check(model) }

// Load implements control.Models.
func (m noModels) Load(context.Context, control.LoadParams) (runners.Runner, control.ModelInfo, error) {
	return nil, control.ModelInfo{}, fmt.Errorf("%w: this server cannot run models: %s", runners.ErrUnavailable, m.why)
}

// localModels runs models in this process.
type localModels struct {
	checked

	runtime   *onnx.Runtime
	providers onnx.Providers
}

func (m *localModels) version() string { return m.runtime.Version() }
func (*localModels) missing() string   { return "" }

// Load implements control.Models.
func (m *localModels) Load(ctx context.Context, p control.LoadParams) (runners.Runner, control.ModelInfo, error) {
	options, err := optionsOf(p, m.providers)
	if err != nil {
		return nil, control.ModelInfo{}, err
	}
	run, err := m.runtime.Load(ctx, p.Model, options)
	if err != nil {
		return nil, control.ModelInfo{}, fmt.Errorf("model %s: %w", p.Label, err)
	}
	return run, infoOf(run.Metadata(), run.Placement()), nil
}

// optionsOf returns how a model is loaded; providers are where the server runs models whose owners say nothing.
func optionsOf(p control.LoadParams, providers onnx.Providers) (onnx.Options, error) {
	if p.Providers != "" {
		var err error
		if providers, err = onnx.ParseProviders(p.Providers); err != nil {
			return onnx.Options{}, fmt.Errorf("%w: model %s: %w", control.ErrServing, p.Label, err)
		}
	}
	return onnx.Options{Providers: providers, Threads: p.Threads, Spin: p.Spin}, nil
}

func infoOf(meta onnx.Metadata, place onnx.Placement) control.ModelInfo {
	producer := meta.Producer
	if meta.ProducerVersion != "" {
		producer += " " + meta.ProducerVersion
	}
	return control.ModelInfo{Producer: producer, Opset: meta.Opsets[""], Placement: place.String(), Device: deviceOf(place)}
}

// deviceOf names the device as the plan does: models that share one share its room.
func deviceOf(p onnx.Placement) string {
	return onnx.Provider{Name: p.Provider, Device: p.Device}.String()
}

// machine returns what models may use.
func (s *Server) machine() plan.Machine {
	m := plan.Cores(os.DirFS("/"), runtime.NumCPU())
	if n := float64(s.cfg.Threads); n > 0 && n < m.Cores {
		m = plan.Machine{Cores: n, Source: fmt.Sprintf("--threads %d", s.cfg.Threads)}
	}
	return m
}

var (
	_ models = (*localModels)(nil)
	_ models = noModels{}
)
