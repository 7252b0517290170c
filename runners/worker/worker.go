// Package worker runs models in processes of their own, so that none of their native code runs in the host: a model that
// crashes costs the requests that were running beside it, and a restart.
//
// A worker is the same binary, called so that it ends in [Main]; it owns ONNX Runtime (runners/onnx). There is one for each
// tenant and device, started when the first model is loaded into it and stopped a while after its last one is gone, or when it
// idles and others want to start, of which there are so many at most. [Pool] makes and watches them; [Model] is a runners.Runner whose runs happen there.
//
// Host and worker share memory. Inputs that the batcher gathered lie in it already ([Model.Alloc]), others are copied into it
// once; outputs are written into it in place when their shapes are known, from the caller or from an earlier run on inputs of
// the same shapes, and copied into it once otherwise, strings and documents once more out of it. What lies where is known to the host
// alone. A run is called through a slot, a few words and a message in that memory, and both sides wake each other by futex;
// loading, unloading, cancelling and heartbeats are frames on a socket pair.
//
// What the worker writes is not believed: a reply is copied before it is read and must fit what was asked; the shared memory's
// size is sealed. The worker has no network, no hold on other processes, no files but the libraries that it needs, and limits on its
// memory, where the kernel can do that (internal/confine).
//
// A caller whose context ends gets its answer within 50 ms. The worker is told at once and ends the run at the next operator. A run
// that has not ended by then, since one operator takes longer, is ended with its worker: at once when nothing else runs there, else
// when that has ended, [Config.HangLimit] later at the latest. The models are loaded again into the worker that follows.
//
// Goroutines of the host: three for each worker (it is waited for, read from, watched), and while they last one for a start, a
// load that a request made necessary, and a run that lingers. [Pool.Close] waits for all. Locks: Pool.mu, group.mu, Model.mu,
// process.mu, region.mu, in that order.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/tandem-serve/tandem/internal/confine"
	"github.com/tandem-serve/tandem/runners"
)

// Key says which worker a model runs in.
type Key struct {
	// Tenant owns the models of a worker; different tenants share nothing.
	Tenant string
	// Device is where they run: "cpu", which "" means, or an accelerator such as "cuda:0", whose drivers get what they need.
	Device string
}

// owner names the tenant in the log.
func (k Key) owner() string {
	if k.Tenant == "" {
		return "(none: asked for its version)"
	}
	return k.Tenant
}

func (k Key) onCPU() bool { return k.Device == "" || k.Device == "cpu" }

// Pool starts workers and looks after them. Make it with [New]; its methods may be called at the same time.
type Pool struct {
	config  Config
	root    context.Context //nolint:containedctx // of starts and loads, which outlive the request that made them necessary
	stop    context.CancelFunc
	berths  berths
	strikes strikes
	work    crew

	copied   atomic.Uint64
	runs     atomic.Uint64
	restarts atomic.Uint64
	crashes  atomic.Uint64
	recycled atomic.Uint64
	evicted  atomic.Uint64
	lingered atomic.Uint64
	overruns atomic.Uint64

	mu     sync.Mutex // mu guards the following
	groups map[Key]*group
	closed bool
}

// New returns a pool, and logs what this system cannot keep its workers from. It starts nothing. ctx gives the values of what the pool does later; its end is not the pool's.
func New(ctx context.Context, config Config) (*Pool, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	p := &Pool{config: config.withDefaults(), groups: map[Key]*group{}}
	p.berths.most, p.berths.each = p.config.MaxWorkers, p.config.MaxWorkersPerTenant
	p.strikes = newStrikes(p.config.Strikes, p.config.StrikeWindow)
	p.root, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	if !config.Unconfined {
		for _, what := range confine.Lacks() {
			p.config.Logger.WarnContext(ctx, "workers have more rights than they need", slog.String("lacking", what))
		}
	}
	return p, nil
}

// Load loads a model into the worker of key, which it starts if need be. Errors are those of onnx.Runtime.Load, and
// runners.ErrCrashed when the worker does not survive it.
func (p *Pool) Load(ctx context.Context, key Key, params LoadParams) (*Model, error) {
	g, err := p.group(key)
	if err != nil {
		return nil, err
	}
	m, err := newModel(g, params)
	if err == nil {
		if err = m.load(ctx); err == nil {
			return m, nil
		}
		m.forget()
	}
	g.leave(m)
	return nil, err
}

// group returns the key's group, entered once more: the caller leaves it.
func (p *Pool) group(key Key) (*group, error) {
	if key.Device == "" {
		key.Device = "cpu"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, runners.ErrClosed
	}
	g := p.groups[key]
	if g == nil {
		shm, err := newRegion(p.config.Shared)
		if err != nil {
			return nil, err
		}
		g = &group{pool: p, key: key, shm: shm, models: map[*Model]struct{}{}}
		p.groups[key] = g
	}
	g.enter()
	return g, nil
}

// Version starts a worker for no one, returns its ONNX Runtime's version, and stops it.
func (p *Pool) Version(ctx context.Context) (string, error) {
	g, err := p.group(Key{})
	if err != nil {
		return "", err
	}
	defer g.leave(nil)
	w, err := g.process(ctx)
	if err != nil {
		return "", err
	}
	w.retire()
	return w.version, nil
}

// Stats are counts since the pool was made, and what is now.
type Stats struct {
	Workers     int    // processes that are running
	Models      int    // that are held
	Runs        uint64 // called
	BytesCopied uint64 // by the host, into and out of shared memory
	SharedBytes int64  // of shared memory that are held
	Resident    int64  // private memory of all workers, as they said last
	Restarts    uint64 // starts after a crash
	Crashes     uint64 // workers that ended without having been asked to
	Recycled    uint64 // workers replaced because they had grown
	Evicted     uint64 // idle workers stopped so that others could start
	Lingered    uint64 // runs that went on after their callers had gone
	Overruns    uint64 // workers replaced because such a run did not end
	Quarantined int    // models that are not loaded now because they crashed
}

// Stats returns the counts.
func (p *Pool) Stats() Stats {
	s := Stats{
		Runs: p.runs.Load(), BytesCopied: p.copied.Load(), Restarts: p.restarts.Load(), Crashes: p.crashes.Load(),
		Recycled: p.recycled.Load(), Evicted: p.evicted.Load(), Lingered: p.lingered.Load(), Overruns: p.overruns.Load(),
		Quarantined: p.strikes.quarantined(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.groups {
		s.SharedBytes += g.shm.usedBytes()
		g.mu.Lock()
		s.Models += len(g.models)
		if w := g.current; w != nil && w.usable() {
			s.Workers++
			s.Resident += w.resident.Load()
		}
		g.mu.Unlock()
	}
	return s
}

// Close stops all workers; runs that go on fail. Models are to be closed before, and need not be after.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	groups := make([]*group, 0, len(p.groups))
	for _, g := range p.groups {
		groups = append(groups, g)
	}
	p.mu.Unlock()
	p.stop()
	var errs []error
	for _, g := range groups {
		errs = append(errs, g.close())
	}
	p.work.wait()
	for _, g := range groups {
		g.shm.close()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop workers: %w", err)
	}
	return nil
}
