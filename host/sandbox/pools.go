package sandbox

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

// pools bounds the instances of a host and hands them out. An instance that is handed out belongs to its holder until
// give or forget.
//
// When everything is in use, callers wait in the order in which they came; beyond maxWaiting they are refused. When the
// bound is reached and some instance lies idle elsewhere, the longest idle one is closed to make room.
type pools struct {
	max, maxPlugin, maxTenant, maxWaiting int

	idleTimeout time.Duration
	shut        func([]*instance) // closes instances; called without the lock

	mu      sync.Mutex // guards the following
	live    int        // instances that exist or are being made
	holds   int        // loads in progress
	tenants map[string]*tenantUse
	waiters list.List // of *waiter, oldest first
	idle    idleList
	timer   *time.Timer // runs while something is idle
	closed  bool
	drained chan struct{} // closed when the pools are closed and nothing is live
}

// tenantUse is what the plugins of one tenant have together.
type tenantUse struct {
	name          string
	plugins, live int
}

// join adds a plugin to its tenant.
func (p *pools) join(pl *Plugin, tenant string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.tenants[tenant]
	if u == nil {
		u = &tenantUse{name: tenant}
		p.tenants[tenant] = u
	}
	u.plugins++
	pl.tenant = u
}

// partLocked forgets a tenant of whom nothing is left.
func (p *pools) partLocked(u *tenantUse) {
	if u.plugins == 0 && u.live == 0 {
		delete(p.tenants, u.name)
	}
}

type waiter struct {
	lane  *lane
	ready chan grant // receives once
}

// grant is leave to run: an idle instance, or nil to make one.
type grant struct {
	in  *instance
	err error
}

// idleList is a list of idle instances, longest idle first.
type idleList struct {
	head, tail *instance
	n          int
}

func (l *idleList) push(in *instance) {
	l.n++
	in.prev, in.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = in
	} else {
		l.head = in
	}
	l.tail = in
}

func (l *idleList) remove(in *instance) {
	if in.prev != nil {
		in.prev.next = in.next
	} else {
		l.head = in.next
	}
	if in.next != nil {
		in.next.prev = in.prev
	} else {
		l.tail = in.prev
	}
	l.n--
	in.prev, in.next = nil, nil
}

func newPools(cfg *Config, shut func([]*instance)) *pools {
	p := &pools{
		max: cfg.MaxInstances, maxPlugin: cfg.MaxInstancesPerPlugin, maxTenant: cfg.MaxInstancesPerTenant, maxWaiting: cfg.MaxWaiting,
		tenants:     map[string]*tenantUse{},
		idleTimeout: cfg.IdleTimeout, shut: shut, drained: make(chan struct{}),
	}
	p.waiters.Init()
	return p
}

// take returns an instance of l, or nil when the caller may make one and must later give or forget it.
func (p *pools) take(ctx context.Context, deadline time.Time, l *lane) (*instance, error) {
	p.mu.Lock()
	if err := p.refusedLocked(l); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	g, ok, evicted := p.tryLocked(l)
	if ok {
		p.mu.Unlock()
		p.shutAll(evicted)
		return g.in, nil
	}
	if p.waiters.Len() >= p.maxWaiting {
		p.mu.Unlock()
		return nil, &CallError{Kind: KindBusy, Text: "too many calls wait for an instance"}
	}
	w := &waiter{lane: l, ready: make(chan grant, 1)}
	at := p.waiters.PushBack(w)
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(deadline)) // ctx may have none of its own
	defer timer.Stop()
	select {
	case g := <-w.ready:
		return g.in, g.err
	case <-ctx.Done():
		p.leave(w, at)
		return nil, contextError(ctx)
	case <-timer.C:
		p.leave(w, at)
		return nil, &CallError{Kind: KindDeadline, Text: "the call ran out of time before it could start"}
	}
}

// leave takes out a waiter that gave up, and passes on what it was just granted.
func (p *pools) leave(w *waiter, at *list.Element) {
	p.mu.Lock()
	p.waiters.Remove(at)
	p.mu.Unlock()
	select {
	case g := <-w.ready:
		if g.err == nil {
			if g.in != nil {
				p.give(g.in)
			} else {
				p.forget(w.lane)
			}
		}
	default:
	}
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

// tryLocked grants l an instance if that is possible now. Evicted instances are to be shut after unlocking.
func (p *pools) tryLocked(l *lane) (g grant, ok bool, evicted *instance) {
	if n := len(l.stack); n > 0 {
		in := l.stack[n-1]
		p.unidleLocked(in)
		return grant{in: in}, true, nil
	}
	if l.max > 0 && l.live >= l.max {
		return grant{}, false, nil
	}
	switch {
	case l.plugin.live >= p.maxPlugin:
		if evicted = p.oldestLocked(func(o *Plugin) bool { return o == l.plugin }); evicted == nil {
			return grant{}, false, nil
		}
	case l.plugin.tenant.live >= p.maxTenant:
		if evicted = p.oldestLocked(func(o *Plugin) bool { return o.tenant == l.plugin.tenant }); evicted == nil {
			return grant{}, false, nil
		}
	case p.live >= p.max:
		if evicted = p.idle.head; evicted == nil {
			return grant{}, false, nil
		}
	}
	if evicted != nil {
		p.unidleLocked(evicted)
		p.uncountLocked(evicted.lane)
	}
	p.live++
	l.live++
	l.plugin.live++
	l.plugin.tenant.live++
	return grant{}, true, evicted
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
		p.shutAll(in)
		p.forget(in.lane)
		return
	}
	in.idleAt = time.Now()
	in.lane.stack = append(in.lane.stack, in)
	p.idle.push(in)
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

// dispatchLocked serves the first waiter that can be served.
func (p *pools) dispatchLocked() (evicted *instance) {
	for e := p.waiters.Front(); e != nil; e = e.Next() {
		w, _ := e.Value.(*waiter)
		g, ok, evicted := p.tryLocked(w.lane)
		if ok {
			p.waiters.Remove(e)
			w.ready <- g
			return evicted
		}
	}
	return nil
}

func (p *pools) shutAll(in ...*instance) {
	if len(in) > 0 && in[0] != nil {
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
	p.shutAll(old...)
	for _, in := range old {
		p.forget(in.lane)
	}
}

// refuseLocked fails the waiters of bad lanes and removes their idle instances, which it returns.
func (p *pools) refuseLocked(bad func(*lane) bool) (old []*instance) {
	for e := p.waiters.Front(); e != nil; {
		next := e.Next()
		w, _ := e.Value.(*waiter)
		if bad(w.lane) {
			p.waiters.Remove(e)
			w.ready <- grant{err: p.refusedLocked(w.lane)}
		}
		e = next
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
	pl.tenant.plugins--
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
