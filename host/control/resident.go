package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/plan"
)

// resident is one model that releases run, in memory or not: a request that finds it unloaded has it loaded, once for all that
// wait. It is a runners.Runner for as long as releases hold it.
//
// Locks: mu is taken after none of the others of this package, and nothing is called with it held.
type resident struct {
	life    *life
	key     modelKey
	label   string
	size    int64 // of the file
	serving Serving

	used atomic.Uint64 // shelf.tick of the last request
	held int64         // bytes; guarded by shelf.mu

	mu        sync.Mutex // mu guards the following
	current   *live      // nil while it is not in memory
	loading   *loading   // nil while nobody loads it
	closed    bool
	signature runners.Signature // set by the first load
	known     learned
	info      ModelInfo
	note      string // of the last warm-up
	loads     int
}

// live is a model in memory. The resident's lock guards its fields below the first two.
type live struct {
	batcher *batch.Batcher
	seat    *plan.Seat
	running int
	retired bool          // no request comes to it any more
	drained chan struct{} // closed when it is retired and nothing runs
}

// loading is a load that requests wait for.
type loading struct {
	done chan struct{} // closed when the following are set
	live *live         // every waiter counts as running on it
	err  error

	waiters int // guarded by the resident's lock
}

var _ runners.Runner = (*resident)(nil)

// Signature returns the model's.
func (r *resident) Signature() runners.Signature {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signature
}

// Run runs the model, after loading it if need be.
func (r *resident) Run(ctx context.Context, in, out []runners.Tensor) error {
	l, err := r.enter(ctx)
	if err != nil {
		return err
	}
	defer r.leave(l)
	return l.batcher.Run(ctx, in, out)
}

// enter returns the model in memory, which stays there until leave.
func (r *resident) enter(ctx context.Context) (*live, error) {
	r.used.Store(r.life.shelf.tick.Add(1))
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, runners.ErrClosed
	}
	if l := r.current; l != nil {
		l.running++
		r.mu.Unlock()
		return l, nil
	}
	wait := r.loading
	if wait == nil {
		wait = &loading{done: make(chan struct{})}
		r.loading = wait
		// Not the request's own context: others wait for it too.
		r.life.loads.Go(func() { r.finish(context.WithoutCancel(ctx), wait) })
	}
	wait.waiters++
	r.mu.Unlock()
	select {
	case <-wait.done:
		return wait.live, wait.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	select {
	case <-wait.done:
		r.mu.Unlock()
		if wait.err == nil {
			r.leave(wait.live)
		}
	default:
		wait.waiters--
		r.mu.Unlock()
	}
	return nil, fmt.Errorf("load model %s: %w", r.label, ctx.Err())
}

// finish loads the model and lets those who wait have it.
func (r *resident) finish(ctx context.Context, wait *loading) {
	l, err := r.load(ctx)
	r.mu.Lock()
	r.loading = nil
	wait.live, wait.err = l, err
	if err == nil {
		l.running = wait.waiters
		r.current = l
		r.loads++
	}
	close(wait.done)
	r.mu.Unlock()
	r.life.shelf.tell()   // it can make room now
	r.life.shares.tell(r) // the plan may have been made again meanwhile
}

// leave ends a request's use.
func (r *resident) leave(l *live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.running--
	l.checkLocked()
}

func (l *live) checkLocked() {
	if l.retired && l.running == 0 {
		close(l.drained)
	}
}

// ensure loads the model unless it is in memory.
func (r *resident) ensure(ctx context.Context) error {
	l, err := r.enter(ctx)
	if err == nil {
		r.leave(l)
	}
	return err
}

// unload lets what runs finish, frees the model's memory and keeps what was learned. Requests that come meanwhile load it again.
func (r *resident) unload() {
	r.mu.Lock()
	l := r.current
	if l == nil {
		r.mu.Unlock()
		return
	}
	r.current = nil
	l.retired = true
	l.checkLocked()
	r.mu.Unlock()
	<-l.drained
	r.keep(l)
	if err := l.batcher.Close(); err != nil {
		r.life.log.Error("close model", slog.String("model", r.label), slog.Any("error", err))
	}
	l.seat.Close()
	r.life.shares.remove(r)
	r.life.shelf.free(r)
	if r.life.unloaded != nil {
		r.life.unloaded()
	}
}

// Close unloads the model for good.
func (r *resident) Close() error {
	r.mu.Lock()
	r.closed = true
	wait := r.loading
	r.mu.Unlock()
	if wait != nil {
		<-wait.done
	}
	r.unload()
	r.life.remove(r)
	return nil
}

// keep writes down what the model's runs taught.
func (r *resident) keep(l *live) {
	cost := l.batcher.Cost()
	r.mu.Lock()
	r.known.Cost = cost
	known := r.known
	r.mu.Unlock()
	if err := r.life.memory.write(r.key, known); err != nil {
		r.life.log.Warn("what was learned of a model is not kept", slog.String("model", r.label), slog.Any("error", err))
	}
}

// stale reports whether the model is in memory and was measured on a busy machine, a while ago.
func (r *resident) stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current != nil && r.current.running == 0 && r.known.Measured.Stale(time.Now())
}

// measureAgain loads the model once more, which measures it. Requests that come meanwhile wait for that.
func (r *resident) measureAgain(ctx context.Context) {
	r.unload()
	if err := r.ensure(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, runners.ErrClosed) {
		r.life.log.WarnContext(ctx, "measure a model again", slog.String("model", r.label), slog.Any("error", err))
	}
}

func (r *resident) loaded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current != nil
}

func (r *resident) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current != nil && r.current.running > 0
}

// apply has the model keep to its share.
func (r *resident) apply(s plan.Share) {
	r.mu.Lock()
	l := r.current
	r.mu.Unlock()
	if l == nil {
		return // load takes it
	}
	l.seat.Keep(&s)
	l.batcher.SetConcurrency(s.Concurrency)
}
