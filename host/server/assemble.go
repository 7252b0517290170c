package server

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tandem-serve/tandem/host/api"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/telemetry"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/usage"
)

// A Go plugin compiles in about a second on one core and starts in 5 ms; these bounds hold on a machine that is busy with
// other things too.
const (
	uploadTimeout   = 2 * time.Minute
	describeTimeout = 10 * time.Second
)

func (s *Server) openSandbox(ctx context.Context, p *parts) (err error) {
	limits := limitsOf(context.WithoutCancel(ctx), p.catalog)
	var compiler sandbox.Compiler
	if len(s.cfg.CompileCommand) > 0 {
		compiler = &sandbox.ChildCompiler{Command: s.cfg.CompileCommand, Wall: uploadTimeout}
	}
	p.sandbox, err = sandbox.New(ctx, sandbox.Config{
		Compiler: compiler,
		CacheDir: filepath.Join(s.cfg.DataDir, "compiled"), MemoryLimitBytes: s.cfg.PluginMemory, Logger: s.cfg.Logger,
		DescribeTimeout: describeTimeout, UploadTimeout: uploadTimeout, Cores: s.cfg.Cores, Background: p.background,
		GuestBytes:   max(machineMemory()/2, s.cfg.PluginMemory),
		TenantMemory: func(t string) int64 { return limits(tenant.ID(t)).PluginMemoryBytes },
	})
	if err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	s.closers.add("sandbox", p.sandbox.Close)
	return nil
}

// assemble joins the parts.
func (s *Server) assemble(ctx context.Context, p *parts) error {
	metrics, err := telemetry.New(telemetry.Config{Version: s.cfg.Version})
	if err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	limits := limitsOf(context.WithoutCancel(ctx), p.catalog)
	door := quota.New(quota.Config{Limits: limits, Changes: s.cfg.Cores / 2})
	s.engine = engine.New(engine.Config{
		Records: keeper{p.records, door, p.usage}, Logger: s.cfg.Logger, Meter: metrics, MemoryBytes: s.cfg.RequestMemory, CacheBytes: s.cfg.CacheMemory,
		Spent: api.Spent(p.usage), Hold: api.Hold, MaxItems: 2 * s.cfg.Cores, ShadowTasks: 2 * s.cfg.Cores,
	})
	if err := engineGauges(metrics, s.engine); err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	if err := sandboxGauges(metrics, p.sandbox); err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	if err := metrics.Gauge("tandem_tenants_behind", "Tenants whose work is done behind that of others, for having more than their share of it.",
		func() float64 { return float64(p.background.Count()) }); err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	s.control = control.New(control.Config{
		Catalog: p.catalog, Blobs: p.blobs, Sandbox: p.sandbox, Models: p.models, Logger: s.cfg.Logger,
		Spent: api.Spent(p.usage), Limits: limits, Owned: []control.Owned{p.records, p.usage, p.audit},
		Machine: s.machine(), Behind: p.background.Behind, ModelMemory: s.cfg.ModelMemory, LearnedDir: filepath.Join(s.cfg.DataDir, "learned"), MeasureModels: true,
	})
	if err := workerGauges(metrics, p.models); err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	if err := planGauges(metrics, s.control); err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	if err := strangerGauges(metrics, s.strangers); err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	s.auth, s.usage = p.auth, p.usage
	s.garbage = &collector{blobs: p.blobs, catalog: p.catalog, uploadAge: s.cfg.UploadAge, log: s.cfg.Logger}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", operatorsOnly(p.auth, metrics.Handler(), p.scraper))
	if s.cfg.Profiles {
		mux.Handle("GET /debug/pprof/", operatorsOnly(p.auth, profiles()))
	}
	s.handler = crossOrigin(mux, s.cfg.CORSOrigins)
	mux.Handle("/", api.NewHandler(api.Config{
		Auth: p.auth, Authenticated: authenticated, Catalog: p.catalog, Control: s.control, Engine: s.engine, Records: p.records, Uploads: p.blobs,
		Door: door, Usage: p.usage, Audit: p.audit,
		Background: p.background, Logger: s.cfg.Logger, Meter: metrics, MaxRequestBytes: s.cfg.MaxRequestBytes,
		Server: api.ServerInfo{
			Version: s.cfg.Version, ONNXRuntime: p.models.version(), Missing: p.models.missing(), Started: time.Now(),
		},
	}))
	return nil
}

// engineGauges registers the fills of what the engine bounds.
func engineGauges(m *telemetry.Metrics, e *engine.Engine) error {
	for _, g := range []struct {
		name, help string
		read       func(engine.Stats) float64
	}{
		{"tandem_request_memory_bytes", "What running requests are expected to hold, of --request-memory.", func(s engine.Stats) float64 { return float64(s.MemoryBytes) }},
		{"tandem_cache_bytes", "What the caches of nodes hold, of --cache-memory.", func(s engine.Stats) float64 { return float64(s.CacheBytes) }},
		{"tandem_cache_entries", "Answers in the caches of nodes.", func(s engine.Stats) float64 { return float64(s.CacheEntries) }},
		{"tandem_cache_evictions", "Answers that made room for others since the start.", func(s engine.Stats) float64 { return float64(s.CacheEvicted) }},
		{"tandem_shadows_running", "Requests whose shadows run.", func(s engine.Stats) float64 { return float64(s.Shadows) }},
	} {
		if err := m.Gauge(g.name, g.help, func() float64 { return g.read(e.Stats()) }); err != nil {
			return err
		}
	}
	return nil
}

// strangerGauges registers what connections there are without a key.
func strangerGauges(m *telemetry.Metrics, s *strangers) error {
	open := func() float64 {
		n, _ := s.count()
		return float64(n)
	}
	if err := m.Gauge("tandem_unauthenticated_connections", "Open connections that have shown no valid key, of --max-unauthenticated.", open); err != nil {
		return err
	}
	return m.Gauge("tandem_unauthenticated_closed", "Connections without a valid key that were closed for others since the start.", func() float64 {
		_, closed := s.count()
		return float64(closed)
	})
}

// planGauges registers what all models together take.
func planGauges(m *telemetry.Metrics, c *control.Manager) error {
	for _, g := range []struct {
		name, help string
		read       func(control.PlanTotals) float64
	}{
		{"tandem_model_memory_bytes", "What loaded models take, of --model-memory.", func(t control.PlanTotals) float64 { return float64(t.MemoryBytes) }},
		{"tandem_models_loaded", "Models in memory.", func(t control.PlanTotals) float64 { return float64(t.Loaded) }},
		{"tandem_model_runs", "Runs of models that go on on the cores.", func(t control.PlanTotals) float64 { return float64(t.Running) }},
	} {
		if err := m.Gauge(g.name, g.help, func() float64 { return g.read(c.PlanTotals()) }); err != nil {
			return err
		}
	}
	return nil
}

// limitsOf returns what a tenant may use, from memory. Of a tenant that cannot be looked up the defaults hold: it was there a moment ago,
// when its credential was accepted.
func limitsOf(ctx context.Context, c *catalog.Catalog) func(tenant.ID) tenant.Limits {
	return func(id tenant.ID) tenant.Limits {
		t, err := c.GetTenant(ctx, id)
		if err != nil {
			t = tenant.Tenant{ID: id}
		}
		return t.Effective()
	}
}

// keeper writes a request's records to the log, all of them at once, as far as the tenant's quota allows.
type keeper struct {
	log   *record.Log
	door  *quota.Door
	usage *usage.Ledger
}

// Record implements engine.Recorder.
func (k keeper) Record(ctx context.Context, rs []engine.Record) error {
	t, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	if err := k.door.Records(t, len(rs)); err != nil {
		return err
	}
	pending := make([]*record.Pending, len(rs))
	for i, r := range rs {
		pending[i], err = k.log.Start(ctx, t, record.Record{
			Stream: r.Stream, Graph: r.Graph, Release: r.Version, Node: r.Node, RequestID: r.RequestID, At: time.Now(), Doc: r.Doc,
		})
		if err != nil {
			return err
		}
	}
	for _, p := range pending {
		if err := p.Wait(ctx); err != nil {
			return err
		}
	}
	k.usage.Add(t, usage.Sum{Records: uint64(len(rs))})
	return nil
}
