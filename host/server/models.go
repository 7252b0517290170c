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

// localModels runs models in this process.
type localModels struct {
	runtime   *onnx.Runtime // nil when there is none
	missing   string        // why
	providers onnx.Providers
}

// openModels loads ONNX Runtime. A server without it still runs plugins, and says so to those who want more.
func (s *Server) openModels(ctx context.Context, p *parts) error {
	providers, err := onnx.ParseProviders(s.cfg.Providers)
	if err != nil {
		return err
	}
	p.models = &localModels{missing: s.cfg.ONNXRuntimeMissing, providers: providers}
	if s.cfg.ONNXRuntime == "" {
		if p.models.missing == "" {
			p.models.missing = "no ONNX Runtime library was named"
		}
		return nil
	}
	rt, err := onnx.Open(ctx, onnx.Config{Library: s.cfg.ONNXRuntime, Threads: s.machine().Whole(), Logger: s.cfg.Logger})
	if err != nil {
		return fmt.Errorf("load ONNX Runtime: %w", err)
	}
	p.models.runtime = rt
	return nil
}

func (m *localModels) version() string {
	if m.runtime == nil {
		return ""
	}
	return m.runtime.Version()
}

// Check implements control.Models.
func (m *localModels) Check(model []byte) error { return onnx.Check(model, onnx.Limits{}) }

// Load implements control.Models.
func (m *localModels) Load(ctx context.Context, p control.LoadParams) (runners.Runner, control.ModelInfo, error) {
	if m.runtime == nil {
		return nil, control.ModelInfo{}, fmt.Errorf("%w: this server cannot run models: %s", runners.ErrUnavailable, m.missing)
	}
	run, err := m.runtime.Load(ctx, p.Model, onnx.Options{Providers: m.providers, Threads: p.Threads, Spin: p.Spin})
	if err != nil {
		return nil, control.ModelInfo{}, fmt.Errorf("model %s: %w", p.Label, err)
	}
	meta := run.Metadata()
	producer := meta.Producer
	if meta.ProducerVersion != "" {
		producer += " " + meta.ProducerVersion
	}
	place := run.Placement()
	return run, control.ModelInfo{Producer: producer, Opset: meta.Opsets[""], Placement: place.String(), Device: deviceOf(place)}, nil
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

var _ control.Models = (*localModels)(nil)
