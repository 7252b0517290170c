// Package engine runs a plan: it joins graph, sandbox and runners for one request.
//
// A node runs as soon as its inputs are there, on a goroutine of the request; the first error cancels the rest. All
// goroutines of a request have ended when Run returns. There is one lock, in the cache of decoded images, and nothing is
// called with it held.
package engine

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"github.com/tandem-serve/tandem/host/imaging"
)

// Config configures an Engine. Zero fields take their defaults.
type Config struct {
	// Images bounds the images that the engine decodes for nodes that want pixels. Default: imaging's own.
	Images imaging.Limits
	// MaxItems bounds how many items of one mapped node run at once when the node does not say. Default: twice the cores.
	MaxItems int
	// Timeout bounds a request that comes without a deadline. Default: 30 s.
	Timeout time.Duration
	// Records keeps what plugins record. Default: none, and a plugin that records fails.
	Records Recorder
	// Logger gets what plugins log. Default: discarded.
	Logger *slog.Logger
	// Meter counts runs of nodes. Default: nothing is counted.
	Meter Meter
}

// Meter counts runs of nodes.
type Meter interface {
	// Node tells of one finished node; outcome is "ok" or the name of a Reason.
	Node(graph, node, outcome string, took time.Duration, copied int64)
}

type noMeter struct{}

func (noMeter) Node(string, string, string, time.Duration, int64) {}

// Recorder keeps records durably.
type Recorder interface {
	// Record keeps all of rs, which come from one request of the tenant in ctx, or none. They are durable on return.
	Record(ctx context.Context, rs []Record) error
}

// Record is one document that a plugin recorded.
type Record struct {
	Stream    string
	Graph     string
	Version   int
	Node      string
	RequestID string
	Doc       []byte
}

// Engine runs requests. It may be used by many goroutines and has no state of its own to close.
type Engine struct {
	cfg Config
}

// New returns an engine.
func New(cfg Config) *Engine {
	if cfg.MaxItems <= 0 {
		cfg.MaxItems = 2 * runtime.GOMAXPROCS(0)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	return &Engine{cfg: cfg}
}

// Run runs one request against one release and waits for it. Without a deadline in ctx the engine's own holds.
//
// # Errors
//
//   - Errors, all faults of the request's inputs at once.
//   - *Error, the first failure, with graph, node and port.
func (e *Engine) Run(ctx context.Context, rel *Release, req Request) (*Result, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.cfg.Timeout)
		defer cancel()
	}
	r, err := newRun(e, rel, &req)
	if err != nil {
		return nil, err
	}
	res, err := r.do(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.keepRecords(ctx); err != nil {
		return nil, err
	}
	return res, nil
}
