package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/internal/pieces"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
)

var (
	_ runners.Runner    = (*Model)(nil)
	_ runners.Allocator = (*Model)(nil)
)

// LoadParams says what is loaded.
type LoadParams struct {
	// Label names the model in messages.
	Label string
	// Model is the file. It is read until Load returns.
	Model []byte
	// Again returns the file once more, and what gives it back, for a worker that was started anew. Nil keeps a copy in memory.
	Again func(ctx context.Context) (model []byte, done func(), err error)
	// Options are how it is loaded.
	Options onnx.Options
}

// Model is a model in a worker. It survives its worker: the next run loads it again.
type Model struct {
	g        *group
	label    string
	identity string // of the tenant's file, for strikes
	options  onnx.Options
	again    func(ctx context.Context) (model []byte, done func(), err error)
	Description

	signature runners.Signature
	shapes    shapes
	at        atomic.Pointer[place]
	uses      runners.Drain

	mu      sync.Mutex // mu guards the following
	file    *os.File   // nil when again gives it
	size    int64
	loading *starting // nil when none is
}

// place is where a model is loaded.
type place struct {
	p  *process
	id uint32
}

func newModel(g *group, params LoadParams) (*Model, error) {
	sum := pieces.SHA256(params.Model)
	m := &Model{
		g: g, label: params.Label, identity: g.key.Tenant + "\x00" + string(sum[:]), options: params.Options, again: params.Again,
	}
	file, err := fileOf(params.Model)
	if err != nil {
		return nil, err
	}
	m.file, m.size = file, int64(len(params.Model))
	g.join(m)
	return m, nil
}

// fileOf returns a file in memory with these bytes.
func fileOf(model []byte) (*os.File, error) {
	file, mem, err := shareMemory(max(int64(len(model)), 1))
	if err != nil {
		return nil, fmt.Errorf("%w: memory for a model of %d MiB: %w", runners.ErrUnavailable, len(model)>>20, err)
	}
	pieces.Copy(mem, model)
	unmap(mem)
	return file, nil
}

// forget gives up the file.
func (m *Model) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		_ = m.file.Close() // nothing is written through it
		m.file = nil
	}
}

// load loads the model for the first time.
func (m *Model) load(ctx context.Context) error {
	at, err := m.loadInto(ctx)
	if err != nil {
		return err
	}
	m.at.Store(at)
	if m.again != nil {
		m.forget()
	}
	return nil
}

// loadInto loads the model into its worker.
func (m *Model) loadInto(ctx context.Context) (*place, error) {
	for {
		if err := m.g.pool.strikes.check(m); err != nil {
			return nil, err
		}
		p, err := m.g.process(ctx)
		if err != nil {
			return nil, err
		}
		id, reply, err := p.load(ctx, m)
		switch {
		case errors.Is(err, errRetired):
			continue
		case err != nil:
			return nil, err
		case reply.Fault != nil:
			return nil, faultOf(reply.Fault.Kind, reply.Fault.Text)
		}
		if err := reply.check(); err != nil {
			return nil, fmt.Errorf("load model %s: %w", m.label, err)
		}
		if m.at.Load() == nil {
			m.Description, m.signature = reply.Description, reply.Signature
		}
		return &place{p, id}, nil
	}
}

// source returns the file, and what gives it back.
func (m *Model) source(ctx context.Context) (file *os.File, size int64, done func(), err error) {
	m.mu.Lock()
	file, size = m.file, m.size
	m.mu.Unlock()
	if file != nil {
		return file, size, func() {}, nil
	}
	model, giveBack, err := m.again(ctx)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("load model %s again: %w", m.label, err)
	}
	defer giveBack()
	if file, err = fileOf(model); err != nil {
		return nil, 0, nil, err
	}
	return file, int64(len(model)), func() { _ = file.Close() }, nil
}

// reloadTimeout bounds a load that a request made necessary, which goes on when that request is gone.
const reloadTimeout = 5 * time.Minute

// place returns where the model is loaded; it loads it when its worker is another one by now. Many may wait for one load.
func (m *Model) place(ctx context.Context) (*place, error) {
	for {
		if at := m.at.Load(); at.p.usable() {
			return at, nil
		}
		m.mu.Lock()
		l := m.loading
		if l == nil {
			l = &starting{done: make(chan struct{})}
			if !m.g.pool.work.start(func() { m.reload(l) }) { //nolint:contextcheck // the load goes on when the request is gone
				m.mu.Unlock()
				return nil, runners.ErrClosed
			}
			m.loading = l
		}
		m.mu.Unlock()
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for model %s to be loaded again: %w", m.label, ctx.Err())
		}
		if l.err != nil {
			return nil, l.err
		}
	}
}

func (m *Model) reload(l *starting) {
	ctx, cancel := context.WithTimeout(m.g.pool.root, reloadTimeout)
	defer cancel()
	at, err := m.loadInto(ctx)
	if err == nil {
		m.at.Store(at)
	}
	m.mu.Lock()
	m.loading = nil
	m.mu.Unlock()
	l.err = err
	close(l.done)
}

// Signature returns the model's inputs and outputs. The caller must not change it.
func (m *Model) Signature() runners.Signature { return m.signature }

// Alloc returns memory that the worker reads where it is.
func (m *Model) Alloc(size int) (runners.Tensor, error) {
	shm := m.g.shm
	at, ok := shm.take(size)
	if !ok {
		return runners.Tensor{}, full(shm, size)
	}
	return runners.Adopted(runners.DTypeNone, nil, shm.bytes(at, size), func() { shm.drop(at) }), nil
}

// Run runs the model once in its worker, as runners.Runner says. When the worker ends meanwhile the error wraps
// runners.ErrCrashed; the next run starts another one. A model that keeps ending it is not run any more for a while, and the
// error wraps runners.ErrModel.
func (m *Model) Run(ctx context.Context, in, out []runners.Tensor) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("run model: %w", err)
	}
	if err := m.signature.CheckInputs(in); err != nil {
		return err
	}
	if err := m.signature.CheckOutputs(out); err != nil {
		return err
	}
	if !m.uses.Enter() {
		return runners.ErrClosed
	}
	defer m.uses.Leave()
	m.g.pool.runs.Add(1)
	for {
		at, err := m.place(ctx)
		if err != nil {
			return err
		}
		s, err := at.p.acquire(ctx, m)
		switch {
		case errors.Is(err, errRetired), errors.Is(err, errDead): // nothing was run yet
			continue
		case err != nil:
			return err
		}
		s.observer = runners.ObserverOf(ctx)
		return m.run(ctx, s, at.id, in, out)
	}
}

// Close waits for running calls and unloads the model. It may be called more than once; every call returns when all is done.
func (m *Model) Close() error {
	m.uses.Close(m.unload)
	return nil
}

// unload gives up all that the model has, when nothing uses it any more.
func (m *Model) unload() {
	m.mu.Lock()
	loading := m.loading
	m.mu.Unlock()
	if loading != nil {
		<-loading.done
	}
	at := m.at.Load()
	at.p.unload(at.id)
	m.forget()
	m.g.leave(m)
	m.g.shm.trim()
}
