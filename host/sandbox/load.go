package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// Loading says for whom a module is loaded.
type Loading struct {
	// Tenant has the plugin. What its guest does when it is asked for its description is the tenant's: memory, turns and fuel. Default
	// "": the one tenant of a host that has no more.
	Tenant string
	// First says that the tenant may not have had the module before. Until it has, loading takes as long as it took whoever was the
	// first to have it, so that the time does not tell whether that was another tenant. What a tenant has had is known as long as the
	// host's CacheDir keeps it. Default: loading takes no longer than it must.
	First bool
	// Spend is told what the guest uses then, as [Services].Spend is. Default: nobody is told.
	Spend func(fuel uint64, core time.Duration) error
}

// Load is LoadFor a host that has one tenant.
func (h *Host) Load(ctx context.Context, wasm []byte) (*Plugin, error) {
	return h.LoadFor(ctx, Loading{}, wasm)
}

// LoadFor admits a module: lint, metering, compilation, description. The same bytes loaded twice are compiled once, but
// every Plugin has instances of its own, and belongs to one tenant: load it again for another. The bytes are not kept. The
// caller closes the Plugin.
//
// A module that was compiled before waits for no other that compiles. A caller whose context ends leaves those who wait for the same
// module to it.
//
// # Errors
//
//   - [*RejectError] lists every reason why the module is refused; nothing that the caller repeats will change it.
//   - A [*CallError] of KindQuota when the tenant's limits ended the guest, as [Plugin.Call] says.
//   - [ErrClosed] after Close.
//   - ctx's error, and errors of the machine (no memory, no disk), which are not the module's fault.
func (h *Host) LoadFor(ctx context.Context, of Loading, wasm []byte) (*Plugin, error) {
	if err := h.pools.hold(); err != nil {
		return nil, err
	}
	defer h.pools.release()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	began, digest := time.Now(), pieces.SHA256(wasm)
	said := h.said(digest, of.Tenant)
	p, err := h.program(ctx, of.Tenant, digest, wasm)
	if of.First && said == nil {
		err = errors.Join(err, p.linger(ctx, began))
	}
	if err == nil && said == nil {
		said, err = p.ask(ctx, &of)
	}
	if err != nil {
		return nil, errors.Join(err, p.release(ctx))
	}
	return newPlugin(p, said, of.Tenant), nil
}

// program returns the program of a module with a reference, also when it could not be loaded, and why.
func (h *Host) program(ctx context.Context, tenant string, digest [32]byte, wasm []byte) (*program, error) {
	p, job, first := h.join(tenant, digest)
	switch {
	case first:
		p.load(context.WithoutCancel(ctx), wasm)
	case job != nil:
		h.compiles.add(tenant, job)
	}
	err := p.await(ctx)
	h.part(p, tenant)
	return p, err
}

// linger waits until a load of p that began at a time has taken as long as one that finds nothing of it kept. It returns the cause of
// ctx's end when that comes first. Nothing is held meanwhile but what keeps the host from being freed, and Close ends it.
func (p *program) linger(ctx context.Context, began time.Time) error {
	select {
	case <-p.ready:
	default: // who waited for it has left
		return nil
	}
	rest := p.took - time.Since(began)
	if rest <= 0 {
		return nil
	}
	background.Rest(ctx)
	defer background.Look(ctx)
	waits, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer p.host.cancels.add(func() { cancel(ErrClosed) })()
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-waits.Done():
		return fmt.Errorf("load: %w", context.Cause(waits))
	}
}

// await waits until p is loaded, and returns why it was not, or the cause of ctx's end.
func (p *program) await(ctx context.Context) error {
	select {
	case <-p.ready:
		return p.err
	default:
	}
	background.Rest(ctx)
	defer background.Look(ctx)
	select {
	case <-p.ready:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("load: %w", context.Cause(ctx))
	}
}

// join returns the program for a digest with a reference, and the job of its compilation if there is one; first says that the caller has
// to load it. The caller must part.
func (h *Host) join(tenant string, digest [32]byte) (p *program, job *compileJob, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, found := h.programs[digest]
	if !found {
		p = &program{host: h, digest: digest, rt: h.rt, born: time.Now(), ready: make(chan struct{})}
		h.programs[digest] = p
	}
	p.refs++
	p.callers = append(p.callers, tenant)
	return p, p.job, !found
}

// part takes note that a caller does not wait for p any more. The last one ends what still goes on for it, and nobody finds it again.
func (h *Host) part(p *program, tenant string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.Index(p.callers, tenant)
	p.callers = slices.Delete(p.callers, at, at+1)
	select {
	case <-p.ready:
		return
	default:
	}
	if len(p.callers) == 0 {
		h.loseLocked(p)
		p.cancel(context.Canceled) // there is one: who loads it is still a caller before that
	}
}

// loseLocked makes sure that nobody finds p again.
func (h *Host) loseLocked(p *program) {
	if h.programs[p.digest] == p {
		delete(h.programs, p.digest)
	}
}

// load does everything that makes a program of a module: what was admitted and compiled before is taken from the cache. When it has to be
// compiled, that goes on after load. The bytes are not read after load, and ctx does not end.
func (p *program) load(ctx context.Context, wasm []byte) {
	h := p.host
	a, code, err := h.prepare(ctx, p.digest, wasm)
	if err == nil && code == nil {
		if err = h.pools.hold(); err == nil {
			p.begin(ctx, a)
			return
		}
	}
	p.settle(a, code, err, false)
}

// begin compiles an admitted module on another goroutine, until it is done or nobody waits for it any more. It takes over a hold of the
// host.
func (p *program) begin(ctx context.Context, a *admitted) {
	h := p.host
	ctx, cancel := context.WithCancelCause(ctx)
	job := newCompileJob()
	h.mu.Lock()
	p.refs++
	p.job, p.cancel = job, cancel
	tenants := slices.Clone(p.callers)
	h.mu.Unlock()
	for _, t := range tenants {
		h.compiles.add(t, job)
	}
	go func() {
		defer h.pools.release()
		remove := h.cancels.add(func() { cancel(ErrClosed) })
		defer remove()
		code, err := p.compile(ctx, job, a)
		p.settle(a, code, err, true)
		if err := p.release(ctx); err != nil {
			h.cfg.Logger.ErrorContext(ctx, "close plugin", slog.Any("error", err))
		}
	}()
}

// settle says that p is loaded, or why it is not. made says that its code was made for that.
func (p *program) settle(a *admitted, code wazero.CompiledModule, err error, made bool) {
	h := p.host
	if err == nil {
		p.code, p.bare, p.data, p.globals = code, a.Bare, a.Data, a.Globals
		if a.bin != nil {
			h.remember(p.digest, a)
		}
	} else {
		p.err = rejectCompile(err)
		h.mu.Lock()
		h.loseLocked(p)
		h.mu.Unlock()
	}
	if err == nil && h.cache != nil {
		p.took = h.tookOf(a, p.spent(), made)
	} else {
		p.took = p.spent()
	}
	close(p.ready)
}

// tookOf returns how long a module takes to load of which nothing is kept, and keeps that with the code which was made in spent.
func (h *Host) tookOf(a *admitted, spent time.Duration, made bool) time.Duration {
	h.codes.Lock()
	defer h.codes.Unlock()
	if !made {
		return min(h.cache.took(a.Key), h.cfg.UploadTimeout) // whatever the file says
	}
	if err := h.cache.note(a.Key, spent); err != nil {
		h.cfg.Logger.Warn("what is known of a module is not kept", slog.Any("error", err))
	}
	return spent
}

// prepare admits a module, and loads its code if that is kept.
func (h *Host) prepare(ctx context.Context, digest [32]byte, wasm []byte) (*admitted, wazero.CompiledModule, error) {
	if a := h.recall(digest); a != nil {
		if code, err := h.kept(ctx, a); code != nil || err != nil {
			return a, code, err
		}
	}
	a, err := h.admit(wasm)
	if err != nil {
		return nil, nil, err
	}
	code, err := h.kept(ctx, a)
	return a, code, err
}
