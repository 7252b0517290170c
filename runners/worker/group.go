package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// group is the worker of one tenant and device: the process that there is now, and the memory and models that outlive it.
type group struct {
	pool *Pool
	key  Key
	shm  *region

	mu       sync.Mutex // mu guards the following
	current  *process   // nil before the first start
	starting *starting  // nil when none is
	models   map[*Model]struct{}
	entered  int       // callers and models that keep the group
	emptied  time.Time // when the last left
	crashes  int       // in a row
	before   time.Time // no start before
	closed   bool

	overruns    int // of late
	lastOverrun time.Time
}

// starting is a start that is going on.
type starting struct {
	done chan struct{} // closed when err is set
	err  error
}

func (g *group) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.entered++
}

// leave undoes one enter, and takes m out of the models.
func (g *group) leave(m *Model) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.models, m)
	if g.entered--; g.entered == 0 {
		g.emptied = time.Now()
	}
}

func (g *group) join(m *Model) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.models[m] = struct{}{}
}

// idleSince returns since when nobody needs the worker; false when somebody does.
func (g *group) idleSince() (time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.emptied, g.entered == 0
}

// process returns the worker, started if need be; many may wait for one start.
func (g *group) process(ctx context.Context) (*process, error) {
	for {
		g.mu.Lock()
		if g.closed {
			g.mu.Unlock()
			return nil, runners.ErrClosed
		}
		if p := g.current; p != nil && p.usable() {
			g.mu.Unlock()
			return p, nil
		}
		s := g.starting
		if s == nil {
			s = &starting{done: make(chan struct{})}
			previous, wait := g.current, time.Until(g.before)
			if !g.pool.work.start(func() { g.start(s, previous, wait) }) {
				g.mu.Unlock()
				return nil, runners.ErrClosed
			}
			g.starting = s
		}
		g.mu.Unlock()
		select {
		case <-s.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a worker process: %w", ctx.Err())
		}
		if s.err != nil {
			return nil, s.err
		}
	}
}

// start starts a process when its time has come and the one before is gone.
func (g *group) start(s *starting, previous *process, wait time.Duration) {
	ctx := g.pool.root
	p, err := g.startAfter(ctx, previous, wait)
	if err != nil && ctx.Err() != nil {
		err = runners.ErrClosed
	}
	g.mu.Lock()
	g.starting = nil
	switch {
	case err != nil:
		s.err = err
	case g.closed:
		s.err = runners.ErrClosed
	default:
		g.current = p
	}
	g.mu.Unlock()
	switch {
	case s.err == nil:
		p.reclass() // what changed while it started has not reached it
	case err == nil:
		p.kill(death{asked: true})
	}
	close(s.done)
}

func (g *group) startAfter(ctx context.Context, previous *process, wait time.Duration) (*process, error) {
	if previous != nil {
		<-previous.gone
		if !previous.cause.asked {
			g.pool.restarts.Add(1)
		}
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p, err := spawn(ctx, g)
	if err != nil {
		g.failed()
		return nil, err
	}
	g.pool.config.Logger.InfoContext(ctx, "worker started", slog.String("tenant", g.key.owner()), slog.String("device", g.key.Device), slog.Int("pid", p.pid()))
	return p, nil
}

// calm is how long a worker lives until its crashes are forgotten.
const calm = time.Minute

// failed notes a crash, or a start that failed: the first is made good at once, further ones after a while.
func (g *group) failed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.before) > calm {
		g.crashes = 0
	}
	g.before = time.Now()
	if g.crashes > 0 {
		g.before = g.before.Add(min(g.pool.config.Backoff<<min(g.crashes-1, 20), g.pool.config.MaxBackoff))
	}
	g.crashes++
}

// ended is told how a process ended, when it is gone.
func (g *group) ended(p *process) {
	c := p.cause
	if c.asked {
		return
	}
	g.pool.crashes.Add(1)
	g.failed()
	g.pool.strikes.add(p.suspects)
	labels := make([]string, 0, len(p.suspects))
	for m := range p.suspects {
		labels = append(labels, m.label)
	}
	g.pool.config.Logger.Error("worker ended", slog.String("tenant", g.key.owner()), slog.String("device", g.key.Device),
		slog.Int("pid", p.pid()), slog.String("how", c.text), slog.Any("models", labels))
}

// reload loads the models of a worker that was replaced again, before somebody asks for them.
func (g *group) reload(ctx context.Context) {
	g.mu.Lock()
	models := make([]*Model, 0, len(g.models))
	for m := range g.models {
		models = append(models, m)
	}
	g.mu.Unlock()
	for _, m := range models {
		if !m.uses.Enter() {
			continue // it is being closed
		}
		if _, err := m.place(ctx); err != nil && ctx.Err() == nil {
			g.pool.config.Logger.WarnContext(ctx, "load a model again", slog.String("model", m.label), slog.Any("error", err))
		}
		m.uses.Leave()
	}
}

// dissolve takes a group that nobody needs out of the pool; false when somebody does.
func (g *group) dissolve() bool {
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.entered > 0 || g.closed || g.starting != nil {
		return false
	}
	g.closed = true
	delete(g.pool.groups, g.key)
	return true
}

// close stops the process.
func (g *group) close() error {
	g.mu.Lock()
	g.closed = true
	p, s := g.current, g.starting
	g.mu.Unlock()
	if p != nil {
		p.dismiss()
	}
	if s != nil {
		<-s.done // what it started is ended by it
	}
	if p == nil {
		return nil
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.gone:
		return nil
	case <-timer.C:
	}
	return errors.New("a worker process does not end")
}
