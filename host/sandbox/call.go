package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/spare"
)

// Call is one request to one function.
type Call struct {
	Function string
	// With is the node's configuration, a JSON object; empty means none. Instances are kept by configuration, so give
	// equal configurations as equal bytes. It is not validated here: see ValidateWith.
	With json.RawMessage
	// Inputs are in the order of the function's ports; the zero Value is an absent one. They may be shorter than the
	// ports when the rest is optional. Their memory is read during the call only. Text must be UTF-8 and JSON must parse:
	// that is not checked again.
	Inputs []value.Value
	// RequestID is told to the guest and seeds its randomness.
	RequestID uint64
	// MaxFuel bounds the work; 0 means only the deadline does. One unit is about one instruction.
	MaxFuel uint64
	// Lease asks for outputs that are the guest's own memory, not copied, valid until Release.
	Lease    bool
	Services Services
}

// Result is the answer of one call. The caller must Release it when it no longer reads Outputs.
type Result struct {
	// Outputs are in the order of the function's ports; the zero Value is an absent one.
	Outputs []value.Value
	// Outcome is 0 or one of the outcomes 1..255 that the function declared.
	Outcome int
	// Fuel is the work done, in units of about one instruction.
	Fuel uint64
	// CPU is the time for which the guest had a core, and the host worked for it.
	CPU time.Duration
	// BytesIn and BytesOut count payload bytes that were copied into and out of the guest.
	BytesIn, BytesOut int64
	// Wait is the time spent waiting for an instance and for a core; Run the rest of the time inside the guest, host calls
	// included.
	Wait, Run time.Duration
	// MemoryBytes is the size of the guest's memory after the call.
	MemoryBytes int64
	// Free gives back the memory under Outputs, of which nothing may be read any more; nil where that is left to the collector, as it may always
	// be. It is called once at most.
	Free func()
	// DirtyPages is how many pages of 4 KiB outside of the arena the call wrote, which is what resetting costs; -1 when
	// that is not known: the guest grew its memory, or the system cannot tell. With Call.Lease it is set by Release.
	DirtyPages int

	lease atomic.Pointer[instance]
}

// Release gives the instance back. With Call.Lease the outputs must not be read afterwards; otherwise they stay valid.
// It must be called once or more; calls after the first do nothing. It may be called from any goroutine.
func (r *Result) Release() {
	if in := r.lease.Swap(nil); in != nil {
		began, p := time.Now(), in.lane.plugin
		r.DirtyPages = in.lane.finish(in)
		p.host.turns.charge(p.account, time.Since(began))
	}
}

// finish resets an instance and hands it on, or frees it when it cannot be used again. It returns how many pages the call
// wrote, -1 when that is not known.
func (l *lane) finish(in *instance) (pages int) {
	in.state = nil
	h := l.plugin.host
	pages, ok := in.reset(h.resetter, l.plugin.said.desc.Stateful)
	if ok {
		h.pools.give(in)
		l.refs.Add(-1)
		return pages
	}
	if in.mem.size > freeAside {
		go l.freeLarge(in) // the pools wait for it before the host is freed
		return pages
	}
	l.free(in)
	return pages
}

// freeAside is how large a memory may be to be freed before its call returns, which takes up to 50 us a MiB.
const freeAside = 16 << 20

// freeLarge is free when nobody waits for it. The tenant pays all the same.
func (l *lane) freeLarge(in *instance) {
	began, p := time.Now(), l.plugin
	l.free(in)
	p.host.turns.charge(p.account, time.Since(began))
}

// free closes an instance that cannot be used again. What is left of its memory serves the next one.
func (l *lane) free(in *instance) {
	in.keepMemory()
	h := l.plugin.host
	h.closeInstance(in)
	l.refs.Add(-1)
	h.pools.forget(l)
}

// Call runs one function and waits for it. A context without a deadline gets Config.CallTimeout. The guest stops within
// about a millisecond after ctx ends.
//
// Every error is a [*CallError]. After an error there is nothing to release.
func (p *Plugin) Call(ctx context.Context, c Call) (*Result, error) {
	f, ok := p.said.funcs[c.Function]
	if !ok {
		return nil, p.callError(&c, "", &CallError{Kind: KindInput, Text: "there is no such function"})
	}
	s := p.newState(ctx, &c)
	defer p.host.freeState(s)
	need, port, fault := s.fit(f, p.said.heads[f.name], c.Inputs, p.host.cfg.MaxArenaBytes)
	if fault != "" {
		return nil, p.callError(&c, port, &CallError{Kind: KindInput, Text: string(fault)})
	}
	l, err := p.laneFor(&c, need)
	if err != nil {
		return nil, p.callError(&c, "", err)
	}
	r, port, err := p.serve(ctx, l, f, &c, s)
	s.letGo()
	if r != nil {
		r.CPU = s.turn.used
	}
	if terr := s.tell(time.Time{}); terr != nil && err == nil {
		r.Release()
		err = s.outOfFuel(terr)
	}
	if err != nil {
		return nil, p.callError(&c, port, err)
	}
	return r, nil
}

// serve runs the call on an instance of the lane, which it leaves. The call may have its turn afterwards. On an error it names
// the port, if it is about one.
func (p *Plugin) serve(ctx context.Context, l *lane, f *function, c *Call, s *callState) (r *Result, port string, err error) {
	in, wait, err := l.take(ctx, s)
	if err != nil {
		l.refs.Add(-1)
		return nil, "", err
	}
	r = &Result{Wait: wait}
	if port, err = in.serve(ctx, f, p.said.heads[f.name], c, r); err != nil {
		l.finish(in)
		return nil, port, err
	}
	if c.Lease {
		in.state = nil
		r.lease.Store(in)
	} else {
		r.DirtyPages = l.finish(in)
	}
	return r, "", nil
}

// callError completes an error with its place.
func (p *Plugin) callError(c *Call, port string, err error) error {
	var ce *CallError
	if !errors.As(err, &ce) {
		ce = &CallError{Kind: KindHost, Text: err.Error(), Cause: err}
	}
	out := *ce
	out.Plugin, out.Function, out.Port = p.said.desc.Name, c.Function, port
	return &out
}

// newState returns the state of a call.
func (p *Plugin) newState(ctx context.Context, c *Call) *callState {
	cfg := &p.host.cfg
	s, ok := p.host.states.Get().(*callState)
	if !ok {
		s = &callState{}
	}
	s.turn.account = p.account
	s.host, s.services, s.config, s.requestID, s.maxFuel = p.host, c.Services, c.With, c.RequestID, c.MaxFuel
	s.maxRecords, s.maxRecordB, s.maxOutput = cfg.MaxRecords, cfg.MaxRecordBytes, cfg.MaxOutputBytes
	s.log.maxLines, s.log.maxBytes = cfg.MaxLogLines, cfg.MaxLogBytes
	if s.deadline, ok = ctx.Deadline(); !ok {
		s.deadline = time.Now().Add(cfg.CallTimeout)
	}
	return s
}

// freeState takes back a state that no instance and no goroutine uses.
func (h *Host) freeState(s *callState) {
	s.clear()
	h.states.Put(s)
}

// fit checks the inputs against the ports and returns how much arena the request needs, bound outputs included. On a
// fault it names the port.
func (s *callState) fit(f *function, h *head, inputs []value.Value, limit int64) (need int64, port string, flt fault) {
	if len(inputs) > len(f.in) {
		return 0, "", faultf("%d inputs, want at most %d", len(inputs), len(f.in))
	}
	s.binding.reset(len(f.symbols))
	need = int64(len(h.bytes))
	for i := range f.in {
		p := &f.in[i]
		if i >= len(inputs) || inputs[i].IsZero() {
			if !p.optional {
				return 0, p.name, "missing"
			}
			continue
		}
		if flt := p.checkInput(&inputs[i], &s.binding); flt != "" {
			return 0, p.name, flt
		}
		need = measure(need, &inputs[i])
	}
	s.request = need
	s.bounds, need = bind(s.bounds[:0], f, &s.binding, need, limit)
	return need, "", ""
}

// laneFor returns the lane with a large enough arena. The caller must leave it.
func (p *Plugin) laneFor(c *Call, need int64) (*lane, error) {
	cfg := &p.host.cfg
	if p.said.desc.Stateful { // its state lives in one instance, so every call needs the same
		need = max(need, min(statefulArena, cfg.MaxArenaBytes))
	}
	size, ok := cfg.arenaFor(max(need, int64(len(c.With))))
	if !ok {
		return nil, &CallError{Kind: KindQuota, Text: fmt.Sprintf("the inputs need %d bytes of arena, the limit is %d", need, cfg.MaxArenaBytes)}
	}
	return p.lane(c.With, size)
}

// statefulArena is the least arena of a plugin that keeps its state.
const statefulArena = 16 << 20

// take waits for an instance or makes one, and begins the call on it.
func (l *lane) take(ctx context.Context, s *callState) (in *instance, wait time.Duration, err error) {
	h := l.plugin.host
	if ctx.Err() != nil {
		return nil, 0, contextError(ctx)
	}
	began := time.Now()
	g, err := h.pools.take(ctx, s.deadline, l)
	if err != nil {
		return nil, 0, err
	}
	if in = g.in; in == nil {
		if in, err = l.newInstance(ctx, s, g.bytes); err != nil {
			h.pools.forget(l)
			return nil, 0, err
		}
	}
	in.state = s
	if len(in.models) > 0 {
		s.models.begin(in.models)
	}
	return in, time.Since(began), nil
}

// contextError says how a context ended.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &CallError{Kind: KindDeadline, Text: "the call ran out of time before it could start", Cause: context.Cause(ctx)}
	}
	return &CallError{Kind: KindCanceled, Text: "the caller went away", Cause: context.Cause(ctx)}
}

// serve runs the guest and reads its answer. On an error it names the port, if it is about one.
func (in *instance) serve(ctx context.Context, f *function, h *head, c *Call, r *Result) (port string, err error) {
	s := in.state
	began, before := time.Now(), s.turn.waited
	var req uint32
	var rc uint64
	if fault := s.work(ctx, s.request, func() { req = in.request(h, c, r) }); fault != nil {
		err = fault
	} else {
		rc, err = in.invoke(ctx, in.run, uint64(req))
	}
	s.models.end()
	s.endLog(ctx)
	r.Run, r.Fuel = time.Since(began)-(s.turn.waited-before), s.used
	r.Wait += s.turn.waited - before
	r.MemoryBytes = int64(in.mem.size)
	if err != nil {
		return "", err
	}
	if fault := s.work(ctx, in.answerBytes(h), func() { port, err = in.answer(f, h, int32(rc), c.Lease, r) }); fault != nil {
		return "", fault
	}
	if lack := in.mem.lack; err != nil && lack != nil { // the guest went on without the memory, and says so in its own way
		return port, lack.callError()
	}
	return port, err
}

// request writes the request into the arena and returns its address.
func (in *instance) request(h *head, c *Call, r *Result) uint32 {
	s := in.state
	w := writer{buf: in.memory()[in.arena:][:in.arenaLen], base: in.arena}
	w.head(h)
	for i := range (h.out - h.in) / abi.ValueSize {
		d := h.in + abi.ValueSize*i
		if i < len(c.Inputs) {
			w.value(d, &c.Inputs[i])
		} else {
			w.buf[d+abi.ValFlags] = abi.FlagAbsent
		}
	}
	total := w.off
	for i := range s.bounds {
		w.bound(h, &s.bounds[i])
		total = int(s.bounds[i].off + s.bounds[i].size)
	}
	if used := uint64(w.off); used < in.dirty {
		clear(w.buf[used:in.dirty])
	}
	le.PutUint32(w.buf[abi.ReqTotalLen:], uint32(total))
	le.PutUint64(w.buf[abi.ReqDeadlineNs:], uint64(max(time.Until(s.deadline), 1)))
	le.PutUint64(w.buf[abi.ReqID:], c.RequestID)
	r.BytesIn = w.bytes
	return in.arena
}

// answer reads what the guest left in the request block and its outputs.
func (in *instance) answer(f *function, h *head, rc int32, lease bool, r *Result) (port string, err error) {
	mem := in.memory()
	block := mem[in.arena:][:len(h.bytes)]
	numOut, errLen := le.Uint32(block[abi.ReqNumOut:]), le.Uint32(block[abi.ReqErrLen:])
	if rc < 0 {
		text := block[h.errAt():]
		if uint64(errLen) > uint64(len(text)) {
			return "", outputError(faultf("an error text of %d bytes, want at most %d", errLen, len(text)))
		}
		return "", &CallError{Kind: KindGuest, Code: int(rc), Text: guestText(text[:errLen])}
	}
	if _, ok := f.outcomes[int(rc)]; rc != abi.OutcomeOK && !ok {
		return "", outputError(faultf("outcome %d is not declared", rc))
	}
	s := in.state
	rd := reader{mem: mem, handles: &s.handles, budget: s.maxOutput}
	out, port, flt := rd.answer(f, numOut, in.arena+uint32(h.out), rc == abi.OutcomeOK, &s.binding)
	if flt != "" {
		return port, outputError(flt)
	}
	r.Outputs, r.Outcome = out, int(rc)
	if !lease {
		if ask := s.services.Output; ask != nil && rd.viewed > 0 {
			if err := ask(rd.viewed); err != nil {
				return "", &CallError{Kind: KindQuota, Text: err.Error(), Cause: err}
			}
		}
		var block []byte
		block, r.BytesOut = rd.detach()
		if spare.Large(block) {
			r.Free = func() { spare.LetGo(block) }
		}
	}
	return "", nil
}

// answerBytes returns how many bytes there are to look at in an answer, about.
func (in *instance) answerBytes(h *head) (n int64) {
	block := in.memory()[in.arena:][:len(h.bytes)]
	num := min(int(le.Uint32(block[abi.ReqNumOut:])), (len(h.bytes)-h.out)/abi.ValueSize)
	for i := range num {
		d := readDescriptor(block[h.out+abi.ValueSize*i:])
		if d.kind == abi.KindList && d.items > largeList {
			return largeWork + 1 // whatever stands in it
		}
		n += int64(min(d.dataLen, 1<<32))
	}
	return n
}

// largeList is the length of a list from which on its items are taken to be much.
const largeList = 64

func outputError(f fault) error { return &CallError{Kind: KindOutput, Text: string(f)} }
