package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// template is an initialised instance as a snapshot: one configuration and one size of arena. It is immutable and counts
// its references.
type template struct {
	prog            *program
	snap            *snapshot
	globals         []uint64
	arena, arenaLen uint32
	models          []string
	skew            time.Duration
	own             *tenantUse
	refs            atomic.Int64

	mu    sync.Mutex      // guards the following
	spare []*linearMemory // clones that instances left behind
}

// maxSpare is how many memories a template keeps for instances to come.
const maxSpare = 4

// retain adds a reference.
func (t *template) retain() *template {
	t.refs.Add(1)
	return t
}

// release drops one; the last one frees the snapshot.
func (t *template) release() {
	if t.refs.Add(-1) == 0 {
		for _, m := range t.spare { // nobody else knows the template any more
			m.Free()
		}
		_ = t.snap.close() // unmaps memory and closes a file that only memory backs: nothing can be lost
		t.prog.host.memory.give(t.snap.held)
		t.own.pools.shrink(t.own, int64(t.snap.held))
	}
}

// keep takes over the memory of an instance that is closed, so that the one that replaces it need not fault its pages in
// again. A tenant that has little memory left has better use for it.
func (t *template) keep(m *linearMemory) bool {
	if !t.own.plenty() || m.recycle(t.prog.host.resetter) != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.spare) >= maxSpare {
		return false
	}
	t.spare = append(t.spare, m)
	return true
}

// clone returns a memory that is as the snapshot, for which paid bytes were taken from the tenant already.
func (t *template) clone(limit uint64, paid int64) (*linearMemory, error) {
	t.mu.Lock()
	if n := len(t.spare); n > 0 {
		m := t.spare[n-1]
		t.spare = t.spare[:n-1]
		t.mu.Unlock()
		t.own.pools.shrink(t.own, paid) // it has paid itself
		return m, nil
	}
	t.mu.Unlock()
	return t.snap.clone(limit, purse{shared: &t.prog.host.memory, own: t.own, paid: uint64(paid)})
}

// start brings a new instance to the point where calls may begin: the language's own start, the arena, the
// configuration. in.state is used for all of it.
func (in *instance) start(ctx context.Context, limits startLimits, with []byte, arenaLen uint32) error {
	if err := in.initialize(ctx, limits); err != nil {
		return err
	}
	alloc := in.mod.ExportedFunction(abi.ExportAlloc)
	limits.extend(in.state)
	arena, err := in.enter(ctx, alloc, uint64(arenaLen), pageBytes)
	if err != nil {
		return in.startError(abi.ExportAlloc, err)
	}
	in.arena, in.arenaLen = uint32(arena), arenaLen
	size := uint64(in.mod.Memory().Size())
	if in.arena == 0 {
		return &CallError{Kind: KindStart, Text: fmt.Sprintf("%s gave no arena of %d bytes", abi.ExportAlloc, arenaLen)}
	}
	if in.arena%pageBytes != 0 || uint64(in.arena)+uint64(arenaLen) > size {
		return &CallError{Kind: KindStart, Text: fmt.Sprintf("%s gave 0x%x, which is not aligned to %d or leaves the memory", abi.ExportAlloc, in.arena, pageBytes)}
	}
	return in.configure(ctx, limits, with)
}

// pageBytes is the alignment of an arena, and the unit of its size.
const pageBytes = 4096

// initialize does what instantiating a whole module does, when the code is bare, and runs the language's own start.
func (in *instance) initialize(ctx context.Context, limits startLimits) error {
	mem := in.memory()
	for _, d := range in.prog.data { // the linter made sure that all of it fits
		copy(mem[d.Offset:], d.Bytes)
	}
	for _, step := range []struct{ export, name string }{{startExport, "start section"}, {abi.ExportInitialize, abi.ExportInitialize}} {
		fn := in.mod.ExportedFunction(step.export)
		if fn == nil {
			continue
		}
		limits.extend(in.state)
		if _, err := in.enter(ctx, fn); err != nil {
			return in.startError(step.name, err)
		}
	}
	return nil
}

// configure passes the configuration to the guest, at the start of its arena. It leaves the arena clear.
func (in *instance) configure(ctx context.Context, limits startLimits, with []byte) error {
	fn := in.mod.ExportedFunction(abi.ExportInit)
	if fn == nil {
		return in.clearArena()
	}
	if uint64(len(with)) > uint64(in.arenaLen) {
		return &CallError{Kind: KindStart, Text: fmt.Sprintf("a configuration of %d bytes does not fit the arena", len(with))}
	}
	copy(in.memory()[in.arena:], with)
	limits.extend(in.state)
	rc, err := in.enter(ctx, fn, uint64(in.arena), uint64(len(with)))
	if err != nil {
		return in.startError(abi.ExportInit, err)
	}
	if int32(rc) != 0 {
		text := "refused the configuration"
		if last := in.state.log.last; last != "" {
			text += ": " + last
		}
		return &CallError{Kind: KindStart, Code: int(int32(rc)), Text: fmt.Sprintf("%s returned %d: the plugin %s", abi.ExportInit, int32(rc), text)}
	}
	return in.clearArena()
}

// clearArena clears the whole arena.
func (in *instance) clearArena() error {
	return in.mem.zero(uint64(in.arena), uint64(in.arena)+uint64(in.arenaLen))
}

// startError says which step of the start failed. Faults that are not the guest's keep their kind.
func (in *instance) startError(step string, err error) error {
	var ce *CallError
	if !errors.As(err, &ce) {
		return err
	}
	switch {
	case ce.Kind == KindCanceled, ce.Kind == KindClosed, ce.Kind == KindHost, ce.Kind == KindQuota:
		return err
	case ce.Kind == KindDeadline && ce.Cause != nil: // the caller's deadline, not that of the step
		return err
	default:
		return &CallError{Kind: KindStart, Text: step + ": " + ce.Text, Cause: ce.Cause}
	}
}

// startLimits bounds each step of a start.
type startLimits struct {
	step time.Duration
}

func (l startLimits) extend(s *callState) { s.deadline = time.Now().Add(l.step) }

// snapshot takes what in has become as a template with one reference, of the tenant's memory. in may be closed afterwards.
func (in *instance) snapshot(own *tenantUse) (*template, error) {
	t := &template{prog: in.prog, arena: in.arena, arenaLen: in.arenaLen, models: in.models, skew: in.skew, own: own}
	snap, err := newSnapshot(in.mem, uint64(in.arena), uint64(in.arenaLen))
	if err != nil {
		return nil, err
	}
	t.snap = snap
	if err := t.pay(); err != nil {
		return nil, errors.Join(err, snap.close())
	}
	for _, g := range in.globals {
		t.globals = append(t.globals, g.Get())
	}
	return t.retain(), nil
}

// pay takes the memory of the snapshot from what all guests share and from the tenant's.
func (t *template) pay() error {
	shared := &t.prog.host.memory
	if !shared.take(t.snap.held) {
		return &CallError{Kind: KindMemory, Text: "the plugins of this server have all the memory that they may have together"}
	}
	if lack := t.own.grow(int64(t.snap.held)); lack != nil {
		shared.give(t.snap.held)
		return lack.callError()
	}
	return nil
}

// instance returns a new copy of t, which may grow to limit bytes, and for which paid bytes were taken from the tenant
// already.
func (t *template) instance(ctx context.Context, limit uint64, paid int64, state *callState) (*instance, error) {
	mem, err := t.clone(limit, paid)
	if err != nil {
		return nil, err
	}
	in, err := newInstance(ctx, t.prog, mem, state)
	if err != nil {
		return nil, err
	}
	for i, g := range in.globals {
		g.Set(t.globals[i])
	}
	in.tmpl, in.dirty = t.retain(), mem.dirty
	in.arena, in.arenaLen, in.models, in.skew = t.arena, t.arenaLen, t.models, t.skew
	return in, nil
}
