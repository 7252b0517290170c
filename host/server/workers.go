package server

import (
	"context"
	"fmt"

	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/telemetry"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/worker"
)

// workerModels runs models in worker processes, those of each tenant in its own.
type workerModels struct {
	checked

	pool      *worker.Pool
	runtime   string // its version
	providers onnx.Providers
}

var _ models = (*workerModels)(nil)

// openWorkers makes the pool of workers, and starts one to see that there can be.
func (s *Server) openWorkers(ctx context.Context, p *parts, providers onnx.Providers) error {
	pool, err := worker.New(ctx, worker.Config{
		Command: s.cfg.WorkerCommand, Library: s.cfg.ONNXRuntime, Threads: s.machine().Whole(), Memory: s.cfg.WorkerMemory,
		MaxWorkers: s.cfg.MaxWorkers, Logger: s.cfg.Logger, Behind: p.background.Behind,
	})
	if err != nil {
		return err
	}
	s.closers.add("workers", func(context.Context) error { return pool.Close() })
	version, err := pool.Version(ctx)
	if err != nil {
		return fmt.Errorf("load ONNX Runtime: %w", err)
	}
	p.models = &workerModels{pool: pool, runtime: version, providers: providers}
	return nil
}

func (m *workerModels) version() string { return m.runtime }
func (*workerModels) missing() string   { return "" }

// Load implements control.Models.
func (m *workerModels) Load(ctx context.Context, p control.LoadParams) (runners.Runner, control.ModelInfo, error) {
	options, err := optionsOf(p, m.providers)
	if err != nil {
		return nil, control.ModelInfo{}, err
	}
	key := worker.Key{Tenant: string(p.Tenant)}
	if len(options.Providers.On) > 0 {
		key.Device = options.Providers.String()
	}
	run, err := m.pool.Load(ctx, key, worker.LoadParams{
		Label: p.Label, Model: p.Model, Again: p.Again, Options: options,
	})
	if err != nil {
		return nil, control.ModelInfo{}, fmt.Errorf("model %s: %w", p.Label, err)
	}
	info := infoOf(run.Metadata, run.Placement)
	info.MemoryBytes = run.Grown
	return run, info, nil
}

// workerGauges registers what workers do; none when models run elsewhere.
func workerGauges(m *telemetry.Metrics, from models) error {
	w, ok := from.(*workerModels)
	if !ok {
		return nil
	}
	for _, g := range []struct {
		name, help string
		read       func(worker.Stats) float64
	}{
		{"tandem_workers", "Worker processes that run.", func(s worker.Stats) float64 { return float64(s.Workers) }},
		{"tandem_worker_models", "Models that workers hold.", func(s worker.Stats) float64 { return float64(s.Models) }},
		{"tandem_worker_runs", "Runs that workers were given since the start.", func(s worker.Stats) float64 { return float64(s.Runs) }},
		{"tandem_worker_crashes", "Workers that ended unasked since the start.", func(s worker.Stats) float64 { return float64(s.Crashes) }},
		{"tandem_worker_restarts", "Workers started again after a crash since the start.", func(s worker.Stats) float64 { return float64(s.Restarts) }},
		{"tandem_worker_recycled", "Workers replaced because they had grown, since the start.", func(s worker.Stats) float64 { return float64(s.Recycled) }},
		{"tandem_worker_overruns", "Workers replaced because a run went on after its caller had gone, since the start.", func(s worker.Stats) float64 { return float64(s.Overruns) }},
		{"tandem_worker_evicted", "Idle workers stopped so that others could start, since the start.", func(s worker.Stats) float64 { return float64(s.Evicted) }},
		{"tandem_worker_quarantined_models", "Models that are not loaded because they keep ending their worker.", func(s worker.Stats) float64 { return float64(s.Quarantined) }},
		{"tandem_worker_copied_bytes", "Bytes copied into and out of the memory shared with workers since the start.", func(s worker.Stats) float64 { return float64(s.BytesCopied) }},
		{"tandem_worker_shared_bytes", "Memory shared with workers that is in use.", func(s worker.Stats) float64 { return float64(s.SharedBytes) }},
		{"tandem_worker_private_bytes", "Memory of the workers' own.", func(s worker.Stats) float64 { return float64(s.Resident) }},
	} {
		if err := m.Gauge(g.name, g.help, func() float64 { return g.read(w.pool.Stats()) }); err != nil {
			return err
		}
	}
	return nil
}
