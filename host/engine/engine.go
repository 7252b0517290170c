// Package engine runs a plan: it joins graph, sandbox and runners for one request.
//
// A node runs as soon as its inputs are there, on a goroutine of the request; the first error cancels the rest. All
// goroutines of the critical path have ended when Run returns. What runs in the shadow goes on afterwards, on goroutines of
// its own, as many requests at once as Config says; Close waits for them.
//
// Locks: cache.mu, shadows.mu, door.mu, aftermath.mu, callees.mu and imageCache.mu. Nothing is called
// with one held, and no two are held together but those of a request's holding and, after it, the door.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Config configures an Engine. Zero fields take their defaults.
type Config struct {
	// Images bounds the images that the engine decodes for nodes that want pixels. Default: imaging's own.
	Images imaging.Limits
	// MaxItems bounds how many items of one mapped node run at once when the node does not say; mapped nodes of one request that run
	// at once share what goes beyond one each. Default: twice the cores.
	MaxItems int
	// Timeout bounds a request that comes without a deadline. Default: 30 s.
	Timeout time.Duration
	// Records keeps what plugins record. Default: none, and a plugin that records fails.
	Records Recorder
	// Logger gets what plugins log. Default: discarded.
	Logger *slog.Logger
	// Meter counts runs of nodes. Default: nothing is counted.
	Meter Meter
	// MemoryBytes bounds what all requests together are expected to hold at their peaks; one that does not fit is refused.
	// Default 0: it is not looked at.
	MemoryBytes int64
	// CacheBytes bounds the answers that nodes with a cache keep, keys included, all tenants together; CacheTenantBytes those
	// of one tenant, CacheEntries their number. Defaults: 256 MiB, a half of it, 100,000.
	CacheBytes, CacheTenantBytes int64
	CacheEntries                 int
	// ShadowTasks bounds the requests whose shadows run at once; a tenant has at most a half of it. The shadow of a request
	// beyond is dropped. Default: twice the cores.
	ShadowTasks int
	// ShadowTimeout is how long a request's shadow may take. Default: 10 s.
	ShadowTimeout time.Duration
	// CallBytes bounds the memory of models that one plugin call keeps without a copy; what goes beyond is copied and given
	// back. Default: 64 MiB.
	CallBytes int64
	// Hold is told, in the context of a request, of bytes that it and its shadows hold in the server beyond its inputs: outputs of
	// nodes, before they are copied where that is possible, and outputs on their way out. An error, such as a *tenant.QuotaError, ends
	// the request, or the node of a shadow. A delta below 0 gives back and cannot fail. Default: nobody is told.
	Hold func(ctx context.Context, delta int64) error
	// Spent is told what requests run, in their contexts: what plugins use as they use it, at least every millisecond, and the
	// compute of a model at the end of each run. It must be quick and may be called from several goroutines. Default: nobody is told.
	Spent func(context.Context, Spent)
}

// Spent is what was run for a request.
type Spent struct {
	// Fuel is the work of plugins, in units of about one instruction.
	Fuel uint64
	// Compute is the time for which plugins had a core or the host worked for them, and models ran, added up over what ran at the
	// same time.
	Compute time.Duration
}

// Meter counts what happens. Its methods must be quick and may overlap.
type Meter interface {
	// Run tells of one finished request and the release that answered it; outcome is "ok" or the name of a Reason.
	Run(t tenant.ID, graph string, version int, outcome string, took time.Duration)
	// Node tells of one finished node; outcome is "ok", "skipped" or the name of a Reason.
	Node(graph, node, outcome string, took time.Duration, copied int64)
	// Cache tells of one look into a node's cache: "hit", "miss", or "shared" for an answer that another request was waiting
	// for too.
	Cache(graph, node, outcome string)
	// Shadow tells of one request's shadow: "done", "failed" when a node in it failed, "dropped" when it never ran, "cut"
	// when its time was up.
	Shadow(graph, outcome string)
}

type noMeter struct{}

func (noMeter) Run(tenant.ID, string, int, string, time.Duration) {}
func (noMeter) Node(string, string, string, time.Duration, int64) {}
func (noMeter) Cache(string, string, string)                      {}
func (noMeter) Shadow(string, string)                             {}

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

// Engine runs requests. It may be used by many goroutines. The caller closes it.
type Engine struct {
	cfg     Config
	cache   *cache
	door    *door
	shadows *shadows
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
	if cfg.Spent == nil {
		cfg.Spent = func(context.Context, Spent) {}
	}
	if cfg.Hold == nil {
		cfg.Hold = func(context.Context, int64) error { return nil }
	}
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	orDefault(&cfg.CacheBytes, 256<<20)
	orDefault(&cfg.CacheTenantBytes, cfg.CacheBytes/2)
	orDefault(&cfg.CacheEntries, 100_000)
	orDefault(&cfg.ShadowTasks, 2*runtime.GOMAXPROCS(0))
	orDefault(&cfg.ShadowTimeout, 10*time.Second)
	orDefault(&cfg.CallBytes, 64<<20)
	return &Engine{
		cfg: cfg, cache: newCache(cfg.CacheBytes, cfg.CacheTenantBytes, cfg.CacheEntries), door: &door{limit: cfg.MemoryBytes},
		shadows: newShadows(cfg.ShadowTasks),
	}
}

func orDefault[T int | int64 | time.Duration](p *T, def T) {
	if *p <= 0 {
		*p = def
	}
}

// Close drops shadows that would start, waits for those that run until ctx is done, and ends the rest. Requests should have
// ended before; more of them run without their shadows.
func (e *Engine) Close(ctx context.Context) { e.shadows.close(ctx) }

// EndShadows ends the shadows of a tenant's requests and waits for that, or until ctx ends and returns its error. Requests of the tenant
// should have ended before: more of them run with their shadows.
func (e *Engine) EndShadows(ctx context.Context, t tenant.ID) error { return e.shadows.endOf(ctx, t) }

// Stats are the fills of what the engine bounds.
type Stats struct {
	// MemoryBytes is what the requests that run are expected to hold, of Config.MemoryBytes.
	MemoryBytes int64
	// CacheBytes, CacheEntries and CacheEvicted tell what nodes' caches hold and how many answers made room for others.
	CacheBytes   int64
	CacheEntries int
	CacheEvicted int64
	// Shadows is how many requests' shadows run, of Config.ShadowTasks.
	Shadows int
}

// Stats returns the fills as they are now.
func (e *Engine) Stats() Stats {
	s := Stats{MemoryBytes: e.door.inUse(), Shadows: e.shadows.count()}
	s.CacheBytes, s.CacheEntries, s.CacheEvicted = e.cache.fills()
	return s
}

// Run runs one request against one release and waits for it. Without a deadline in ctx the engine's own holds. The caller
// releases the result when the outputs are sent.
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
	start := time.Now()
	res, err := e.run(ctx, rel, &req)
	t, _ := tenant.From(ctx) // a request without a tenant is counted too
	e.cfg.Meter.Run(t, rel.Name, rel.Version, outcomeOf(err), time.Since(start))
	return res, err
}

func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	reason := ReasonInternal
	if failed, ok := errors.AsType[*Error](err); ok {
		reason = failed.Reason
	} else if inputs, ok := errors.AsType[Errors](err); ok && len(inputs) > 0 {
		reason = inputs[0].Reason
	}
	return reason.String()
}

func (e *Engine) run(ctx context.Context, rel *Release, req *Request) (*Result, error) {
	r, err := newRun(e, rel, req)
	if err != nil {
		return nil, err
	}
	taken, refused := e.door.enter(r)
	if refused != nil {
		return nil, refused
	}
	r.held = &holding{door: e.door, share: 100, taken: taken, held: sizeOf(r.inputs), tell: func(delta int64) error { return e.cfg.Hold(ctx, delta) }}
	res, err := r.do(ctx)
	if err == nil {
		if err = r.keepRecords(ctx); err != nil {
			res.Release()
		}
	}
	if err != nil {
		r.after.abandon()
		r.held.end()
		return nil, err
	}
	res.held = r.held // a shadow gets one of its own
	r.startShadows(ctx)
	return res, nil
}
