package sandbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// lane is one configuration of one plugin with one size of arena.
type lane struct {
	plugin   *Plugin
	with     []byte
	arenaLen uint32
	max      int // instances, 0 for no bound of its own

	build sync.Mutex // held while the template is made; guards the following
	tmpl  *template
	gone  bool // the template was dropped for good

	refs atomic.Int64 // calls that use the lane
	used uint64       // when it was last used, in lookups; guarded by Plugin.mu

	live  int         // guarded by pools.mu
	size  int64       // bytes of a new instance, as far as is known; guarded by pools.mu
	stack []*instance // idle, the hottest last; guarded by pools.mu

	pass uint64             // over those who wait, in which it was tried last; guarded by pools.mu
	lack *TenantMemoryError // why its calls wait, when that is their tenant's memory; guarded by pools.mu
}

// maxLanes bounds the snapshots of one plugin: configurations times sizes of arena.
const maxLanes = 64

// arenaStep is the ratio between one size of arena and the next.
const arenaStep = 16

// arenaFor returns the size of arena that holds n bytes, or false when none does.
func (c Config) arenaFor(n int64) (uint32, bool) {
	if n > c.MaxArenaBytes {
		return 0, false
	}
	size := c.ArenaBytes
	for size < n {
		size *= arenaStep
	}
	return uint32(min(size, c.MaxArenaBytes)), true
}

// lane returns the lane for a configuration and a size of arena. The caller must leave it with refs.Add(-1).
func (p *Plugin) lane(with []byte, arenaLen uint32) (*lane, error) {
	p.mu.Lock()
	byWith := p.lanes[arenaLen]
	l := byWith[string(with)]
	var old *lane
	if l == nil {
		if p.numLanes >= maxLanes {
			if old = p.dropLaneLocked(); old == nil {
				p.mu.Unlock()
				return nil, &CallError{Kind: KindBusy, Text: "too many configurations of this plugin are in use"}
			}
		}
		if byWith == nil {
			byWith = map[string]*lane{}
			p.lanes[arenaLen] = byWith
		}
		l = &lane{plugin: p, with: append([]byte(nil), with...), arenaLen: arenaLen, size: p.prog.leastMemory()}
		if p.said.desc.Stateful {
			l.max = 1
		}
		byWith[string(l.with)] = l
		p.numLanes++
	}
	p.lookups++
	l.used = p.lookups
	l.refs.Add(1)
	p.mu.Unlock()
	if old != nil {
		p.host.pools.purge(old)
		old.drop()
	}
	return l, nil
}

// dropLaneLocked takes out the lane that was not used for longest.
func (p *Plugin) dropLaneLocked() (old *lane) {
	for _, byWith := range p.lanes {
		for _, l := range byWith {
			if l.refs.Load() == 0 && (old == nil || l.used < old.used) {
				old = l
			}
		}
	}
	if old != nil {
		delete(p.lanes[old.arenaLen], string(old.with))
		p.numLanes--
	}
	return old
}

// drop frees the template. Instances that still run keep it until they end.
func (l *lane) drop() {
	l.build.Lock()
	defer l.build.Unlock()
	l.gone = true
	if l.tmpl != nil {
		l.tmpl.release()
		l.tmpl = nil
	}
}

// newInstance makes an instance for a call with state s, in paid bytes of memory that were taken for it already.
func (l *lane) newInstance(ctx context.Context, s *callState, paid int64) (*instance, error) {
	if !l.plugin.prog.bare {
		return l.start(ctx, s, paid)
	}
	t, paid, err := l.template(ctx, s, paid)
	if err != nil {
		return nil, err
	}
	defer t.release()
	if err := s.hold(ctx); err != nil { // before this the call may have waited for who makes the template, who needs a turn
		l.plugin.host.pools.shrink(l.plugin.tenant, paid)
		return nil, err
	}
	in, err := t.instance(ctx, uint64(l.plugin.host.cfg.MemoryLimitBytes), paid, s)
	if err != nil {
		return nil, hostFault(err)
	}
	in.lane = l
	return in, nil
}

// template returns the lane's template with a reference for the caller, and what is paid for an instance of it. The first
// caller makes it. On an error what was paid is given back.
func (l *lane) template(ctx context.Context, s *callState, paid int64) (*template, int64, error) {
	pools := l.plugin.host.pools
	l.build.Lock()
	defer l.build.Unlock()
	if l.gone {
		pools.shrink(l.plugin.tenant, paid)
		return nil, 0, &CallError{Kind: KindClosed, Text: "the plugin was unloaded", Cause: ErrClosed}
	}
	if l.tmpl != nil {
		return l.tmpl.retain(), paid, nil
	}
	in, err := l.start(ctx, s, paid)
	if err != nil {
		return nil, 0, err
	}
	t, err := in.snapshot(l.plugin.tenant)
	if err != nil {
		return nil, 0, hostFault(errors.Join(err, in.close(ctx)))
	}
	paid = in.mem.handOver()
	l.tmpl = t
	pools.sized(l, paid)
	if err := in.close(ctx); err != nil {
		pools.shrink(l.plugin.tenant, paid)
		return nil, 0, hostFault(err)
	}
	return t.retain(), paid, nil
}

// start makes an instance from the beginning, for the request of s, in paid bytes of memory that were taken for it already.
func (l *lane) start(ctx context.Context, s *callState, paid int64) (*instance, error) {
	h := l.plugin.host
	state := h.newStartState(&s.services, l.with, l.plugin.account)
	mem, err := reserve(uint64(h.cfg.MemoryLimitBytes), purse{shared: &h.memory, own: l.plugin.tenant, paid: uint64(paid)})
	if err != nil {
		return nil, hostFault(err)
	}
	limits := startLimits{step: h.cfg.DescribeTimeout}
	limits.extend(state)
	in, err := newInstance(ctx, l.plugin.prog, mem, state)
	if err != nil {
		return nil, hostFault(in.startError("start section", err))
	}
	err = in.start(ctx, limits, l.with, l.arenaLen)
	state.endLog(ctx)
	err = errors.Join(err, state.tell(time.Now()))
	if err != nil {
		return nil, errors.Join(hostFault(err), in.close(ctx))
	}
	in.models, in.skew, in.lane = state.models.names, state.skew, l
	return in, nil
}

// hostFault makes a CallError of an error that is none: the machine is at fault.
func hostFault(err error) error {
	if ce, ok := errors.AsType[*CallError](err); ok {
		return ce
	}
	return &CallError{Kind: KindHost, Text: "an instance could not be made", Cause: err}
}
