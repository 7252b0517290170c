package sandbox

import (
	"context"
	"slices"
	"sync"
	"time"
)

// pools bounds the instances of a host and hands them out. An instance that is handed out belongs to its holder until
// give or forget.
//
// While plugins of several tenants are loaded, a tenant has no more instances in use than it leaves free: one takes a half at most, and
// as calls end, those of several that take all they can come to equal parts, of which one is left free for the next. When there is none
// to be had, callers wait, see waiters. When the bound is reached and some instance lies idle elsewhere, the longest idle one is closed
// to make room.
type pools struct {
	max, maxPlugin, maxTenant int

	idleTimeout time.Duration
	shut        func([]*instance)         // closes instances; called without the lock
	memory      func(tenant string) int64 // what a tenant's guests may have, below 0 no limit; called with the lock

	mu      sync.Mutex // guards the following
	live    int        // instances that exist or are being made
	holds   int        // loads in progress
	tenants map[string]*tenantUse
	waiters waiters
	idle    idleList
	timer   *time.Timer // runs while something is idle
	closed  bool
	drained chan struct{} // closed when the pools are closed and nothing is live
}

// grant is leave to run: an idle instance, or nil to make one in memory that was taken for it already.
type grant struct {
	in    *instance
	bytes int64
	err   error
}

// attempt is what came of trying to get an instance: a grant, or nothing yet. Evicted instances are to be shut after
// unlocking, either way.
type attempt struct {
	grant

	ok      bool
	evicted []*instance
	lack    *TenantMemoryError // the tenant's memory is why not
}

func newPools(cfg *Config, shut func([]*instance)) *pools {
	p := &pools{
		max: cfg.MaxInstances, maxPlugin: cfg.MaxInstancesPerPlugin, maxTenant: cfg.MaxInstancesPerTenant,
		tenants:     map[string]*tenantUse{},
		idleTimeout: cfg.IdleTimeout, shut: shut, memory: cfg.TenantMemory, drained: make(chan struct{}),
	}
	p.waiters.most = cfg.MaxWaiting
	return p
}

// take returns an instance of l, or leave to make one in g.bytes of memory, which the caller must later give or forget.
//
// A call waits for its turn also when its tenant's memory is full: the calls that fill it end, and those of one request
// would else refuse each other.
func (p *pools) take(ctx context.Context, deadline time.Time, l *lane) (g grant, err error) {
	p.mu.Lock()
	if err := p.refusedLocked(l); err != nil {
		p.mu.Unlock()
		return grant{}, err
	}
	a := p.tryLocked(l)
	if a.ok {
		p.mu.Unlock()
		p.shutAll(a.evicted)
		return a.grant, nil
	}
	w := &waiter{lane: l, ready: make(chan grant, 1)}
	if a.lack != nil && a.lack.Need > a.lack.Limit {
		err = a.lack.callError()
	} else {
		err = p.waiters.add(w)
	}
	p.mu.Unlock()
	p.shutAll(a.evicted)
	if err != nil {
		return grant{}, err
	}
	for a.lack != nil && len(w.ready) == 0 && l.plugin.tenant.shed() {
		p.dispatch()
	}
	timer := time.NewTimer(time.Until(deadline)) // ctx may have none of its own
	defer timer.Stop()
	select {
	case g := <-w.ready:
		return g, g.err
	case <-ctx.Done():
		err = contextError(ctx)
	case <-timer.C:
		err = &CallError{Kind: KindDeadline, Text: "the call ran out of time before it could start"}
	}
	if lack := p.leave(w); lack != nil {
		return grant{}, lack.callError()
	}
	return grant{}, err
}

func (p *pools) refusedLocked(l *lane) error {
	if p.closed {
		return &CallError{Kind: KindClosed, Text: "the sandbox is closed", Cause: ErrClosed}
	}
	if l.plugin.closed {
		return &CallError{Kind: KindClosed, Text: "the plugin was unloaded", Cause: ErrClosed}
	}
	return nil
}

// tryLocked grants l an instance if that is possible now.
func (p *pools) tryLocked(l *lane) (a attempt) {
	u := l.plugin.tenant
	l.lack = nil
	if !p.roomLocked(u) {
		return attempt{}
	}
	if n := len(l.stack); n > 0 {
		in := l.stack[n-1]
		p.unidleLocked(in)
		return attempt{grant: grant{in: in}, ok: true}
	}
	if l.max > 0 && l.live >= l.max {
		return attempt{}
	}
	var evicted *instance
	switch {
	case l.plugin.live >= p.maxPlugin:
		if evicted = p.oldestLocked(func(o *Plugin) bool { return o == l.plugin }); evicted == nil {
			return attempt{}
		}
	case u.live >= p.maxTenant:
		if evicted = p.oldestLocked(u.has); evicted == nil {
			return attempt{}
		}
	case p.live >= p.max:
		if evicted = p.idle.head; evicted == nil {
			return attempt{}
		}
	}
	for evicted != nil || !u.fitsLocked(l.size) {
		if evicted == nil {
			if evicted = p.oldestLocked(u.has); evicted == nil {
				l.lack = u.lackLocked(l.size)
				a.lack = l.lack
				return a
			}
		}
		p.evictLocked(evicted)
		a.evicted = append(a.evicted, evicted)
		evicted = nil
	}
	p.live++
	l.live++
	l.plugin.live++
	u.live++
	u.bytes += l.size
	a.bytes, a.ok = l.size, true
	return a
}

// roomLocked reports whether a tenant may have one more instance in use, if there is one.
func (p *pools) roomLocked(u *tenantUse) bool {
	if u.inUse() >= p.maxTenant {
		return false
	}
	free := p.max - (p.live - p.idle.n)
	return len(p.tenants) <= 1 || u.inUse() < free
}

// evictLocked takes an idle instance out for good, and counts its memory as free: whoever unlocks shuts it.
func (p *pools) evictLocked(in *instance) {
	p.unidleLocked(in)
	u := in.lane.plugin.tenant
	u.bytes -= int64(in.mem.paid)
	in.mem.paid = 0
	p.uncountLocked(in.lane)
}

func (p *pools) oldestLocked(of func(*Plugin) bool) *instance {
	for in := p.idle.head; in != nil; in = in.next {
		if of(in.lane.plugin) {
			return in
		}
	}
	return nil
}

func (p *pools) unidleLocked(in *instance) {
	p.idle.remove(in)
	in.lane.plugin.tenant.idle--
	for i, other := range slices.Backward(in.lane.stack) { // nearly always the last
		if other == in {
			in.lane.stack = slices.Delete(in.lane.stack, i, i+1)
			break
		}
	}
}

func (p *pools) uncountLocked(l *lane) {
	p.live--
	l.live--
	l.plugin.live--
	l.plugin.tenant.live--
	p.partLocked(l.plugin.tenant)
	p.drainLocked()
}

func (p *pools) drainLocked() {
	if p.closed && p.live == 0 && p.holds == 0 {
		close(p.drained)
	}
}

// give takes back an instance that is ready for another call.
func (p *pools) give(in *instance) {
	p.mu.Lock()
	if p.refusedLocked(in.lane) != nil {
		p.mu.Unlock()
		p.shutAll([]*instance{in})
		p.forget(in.lane)
		return
	}
	in.idleAt = time.Now()
	in.lane.stack = append(in.lane.stack, in)
	p.idle.push(in)
	in.lane.plugin.tenant.idle++
	if p.timer == nil {
		p.timer = time.AfterFunc(p.idleTimeout, p.reap)
	}
	evicted := p.dispatchLocked()
	p.mu.Unlock()
	p.shutAll(evicted)
}

// forget takes note that an instance is gone, or was never made.
func (p *pools) forget(l *lane) {
	p.mu.Lock()
	p.uncountLocked(l)
	evicted := p.dispatchLocked()
	p.mu.Unlock()
	p.shutAll(evicted)
}

func (p *pools) shutAll(in []*instance) {
	if len(in) > 0 {
		p.shut(in)
	}
}

// reap closes what has lain idle for too long.
func (p *pools) reap() {
	p.mu.Lock()
	now := time.Now()
	var old []*instance
	for in := p.idle.head; in != nil && now.Sub(in.idleAt) >= p.idleTimeout; in = p.idle.head {
		p.unidleLocked(in)
		old = append(old, in)
	}
	p.timer = nil
	if in := p.idle.head; in != nil {
		p.timer = time.AfterFunc(p.idleTimeout-now.Sub(in.idleAt), p.reap)
	}
	p.mu.Unlock()
	p.retire(old)
}

// retire closes instances that were idle and makes room for those who wait.
func (p *pools) retire(old []*instance) {
	p.shutAll(old)
	for _, in := range old {
		p.forget(in.lane)
	}
}

// refuseLocked fails the waiters of bad lanes and removes their idle instances, which it returns.
func (p *pools) refuseLocked(bad func(*lane) bool) (old []*instance) {
	for _, w := range p.waiters.all() {
		if bad(w.lane) {
			p.waiters.remove(w)
			w.ready <- grant{err: p.refusedLocked(w.lane)}
		}
	}
	for in := p.idle.head; in != nil; {
		next := in.next
		if bad(in.lane) {
			p.unidleLocked(in)
			old = append(old, in)
		}
		in = next
	}
	return old
}

// purge closes the idle instances of a lane.
func (p *pools) purge(l *lane) {
	p.mu.Lock()
	old := l.stack
	for _, in := range old {
		p.idle.remove(in)
	}
	l.stack = nil
	l.plugin.tenant.idle -= len(old)
	p.mu.Unlock()
	p.retire(old)
}

// closePlugin refuses further calls of pl and closes its idle instances.
func (p *pools) closePlugin(pl *Plugin) (first bool) {
	p.mu.Lock()
	if pl.closed {
		p.mu.Unlock()
		return false
	}
	pl.closed = true
	delete(pl.tenant.plugins, pl)
	p.partLocked(pl.tenant)
	old := p.refuseLocked(func(l *lane) bool { return l.plugin == pl })
	p.mu.Unlock()
	p.retire(old)
	return true
}

// close refuses everything from here on. drained is closed when the last instance is gone.
func (p *pools) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	old := p.refuseLocked(func(*lane) bool { return true })
	p.drainLocked()
	p.mu.Unlock()
	p.retire(old)
}

// hold keeps the host from being drained while a module is loaded.
func (p *pools) hold() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.holds++
	return nil
}

// release ends a hold.
func (p *pools) release() {
	p.mu.Lock()
	p.holds--
	p.drainLocked()
	p.mu.Unlock()
}
