package server

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tandem-serve/tandem/host/api"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/telemetry"
	"github.com/tandem-serve/tandem/host/tenant"
)

// A Go plugin compiles in about a second on one core and starts in 5 ms; these bounds hold on a machine that is busy with
// other things too.
const (
	uploadTimeout   = 2 * time.Minute
	describeTimeout = 10 * time.Second
)

func (s *Server) openSandbox(ctx context.Context, p *parts) (err error) {
	var compiler sandbox.Compiler
	if len(s.cfg.CompileCommand) > 0 {
		compiler = &sandbox.ChildCompiler{Command: s.cfg.CompileCommand, Wall: uploadTimeout}
	}
	p.sandbox, err = sandbox.New(ctx, sandbox.Config{
		Compiler: compiler,
		CacheDir: filepath.Join(s.cfg.DataDir, "compiled"), MemoryLimitBytes: s.cfg.PluginMemory, Logger: s.cfg.Logger,
		DescribeTimeout: describeTimeout, UploadTimeout: uploadTimeout,
	})
	if err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	s.closers.add("sandbox", p.sandbox.Close)
	return nil
}

// assemble joins the parts.
func (s *Server) assemble(_ context.Context, p *parts) error {
	metrics, err := telemetry.New(telemetry.Config{Version: s.cfg.Version})
	if err != nil {
		return fmt.Errorf("make the metrics: %w", err)
	}
	eng := engine.New(engine.Config{Records: keeper{p.records}, Logger: s.cfg.Logger, Meter: metrics})
	s.control = control.New(control.Config{
		Catalog: p.catalog, Blobs: p.blobs, Sandbox: p.sandbox, Models: p.models, Logger: s.cfg.Logger,
	})
	s.garbage = &collector{blobs: p.blobs, catalog: p.catalog, uploadAge: s.cfg.UploadAge, log: s.cfg.Logger}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler())
	s.handler = mux
	mux.Handle("/", api.NewHandler(api.Config{
		Auth: p.auth, Catalog: p.catalog, Control: s.control, Engine: eng, Records: p.records, Uploads: p.blobs,
		Logger: s.cfg.Logger, Meter: metrics, MaxRequestBytes: s.cfg.MaxRequestBytes,
		Server: api.ServerInfo{
			Version: s.cfg.Version, ONNXRuntime: p.models.version(), Missing: p.models.missing, Started: time.Now(),
		},
	}))
	return nil
}

// keeper writes a request's records to the log, all of them at once.
type keeper struct{ log *record.Log }

// Record implements engine.Recorder.
func (k keeper) Record(ctx context.Context, rs []engine.Record) error {
	t, err := tenant.From(ctx)
	if err != nil {
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
	return nil
}
