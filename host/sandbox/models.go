package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

const (
	maxModels      = 256
	maxTickets     = 64
	maxModelValues = 256
)

// modelState is what one call does with models. Only ticket fields are touched by other goroutines.
type modelState struct {
	starting bool     // the plugin initialises: names are noted, and resolved by the calls to come
	names    []string // by the guest's number
	numbers  []int    // by the guest's number: the service's, when resolved
	resolved []bool

	tickets []*ticket // by number less one; nil when used up
	open    int
	changed chan struct{} // a ticket is done
	wg      sync.WaitGroup
	cancels []context.CancelFunc
}

// ticket is a model run that the guest started and did not wait for yet.
type ticket struct {
	done chan struct{}
	out  []ModelValue
	err  error
}

// begin starts with the models that were opened at initialisation.
func (m *modelState) begin(names []string) {
	m.names = append(m.names[:0], names...)
	m.numbers = make([]int, len(names))
	m.resolved = make([]bool, len(names))
}

// end cancels what still runs and waits for it.
func (m *modelState) end() {
	for _, cancel := range m.cancels {
		cancel()
	}
	m.wg.Wait()
}

// resolve returns the service's number of a model that the guest opened.
func (s *callState) resolve(ctx context.Context, n uint32) (int, error) {
	m := &s.models
	if uint64(n) >= uint64(len(m.names)) {
		return 0, ErrNotFound
	}
	if m.resolved[n] {
		return m.numbers[n], nil
	}
	if s.services.Models == nil {
		return 0, ErrDenied
	}
	number, err := s.services.Models.Open(ctx, m.names[n])
	if err != nil {
		return 0, err
	}
	m.numbers[n], m.resolved[n] = number, true
	return number, nil
}

func hostModelOpen(c hostCall) {
	s := c.in.state
	m := &s.models
	if c.u32(1) > maxKeyBytes {
		c.ret(abi.ErrTooLarge)
		return
	}
	name, ok := c.text(c.u32(0), c.u32(1))
	if !ok {
		c.ret(abi.ErrBadPtr)
		return
	}
	for i, have := range m.names {
		if have == name {
			c.ret(int32(i))
			return
		}
	}
	if len(m.names) >= maxModels {
		c.ret(abi.ErrQuota)
		return
	}
	m.names, m.numbers, m.resolved = append(m.names, name), append(m.numbers, 0), append(m.resolved, false)
	n := len(m.names) - 1
	if !m.starting {
		if _, err := s.resolve(c.ctx, uint32(n)); err != nil {
			m.names, m.numbers, m.resolved = m.names[:n], m.numbers[:n], m.resolved[:n]
			c.ret(errno(err))
			return
		}
	}
	c.ret(int32(n))
}

// modelInputs reads an array of descriptors. The values are the guest's memory.
func (c hostCall) modelInputs(addr, n uint32) ([]ModelValue, *reader, int32) {
	if n > maxModelValues {
		return nil, nil, abi.ErrTooLarge
	}
	array, ok := c.bytes(addr, n*abi.ValueSize)
	if !ok {
		return nil, nil, abi.ErrBadPtr
	}
	r := &reader{mem: c.in.memory(), handles: &c.in.state.handles, budget: c.in.state.maxOutput}
	in := make([]ModelValue, n)
	for i := range in {
		d := readDescriptor(array[abi.ValueSize*i:])
		name, ok := c.valueName(&d)
		if !ok {
			return nil, nil, abi.ErrBadPtr
		}
		in[i].Name = name
		var f fault
		c.work(int64(d.dataLen), func() { f = r.value(&in[i].Value, &d, nil, nil) })
		if f != "" {
			c.note("model input " + name + ": " + string(f))
			return nil, nil, abi.ErrBadPtr
		}
		c.in.chargeContent(in[i].Value.Kind, len(in[i].Value.Data))
	}
	return in, r, 0
}

func (c hostCall) valueName(d *descriptor) (string, bool) {
	if d.nameLen > maxKeyBytes {
		return "", false
	}
	return c.text(d.namePtr, d.nameLen)
}

// note tells the plugin's author what was wrong with a host call.
func (c hostCall) note(text string) { c.in.state.logLine(c.ctx, slog.LevelWarn, []byte(text)) }

func hostModelRun(c hostCall) {
	s := c.in.state
	model, err := s.resolve(c.ctx, c.u32(0))
	if err != nil {
		c.ret(errno(err))
		return
	}
	in, _, rc := c.modelInputs(c.u32(1), c.u32(2))
	if rc != 0 {
		c.ret(rc)
		return
	}
	ctx, cancel := s.serviceContext(c.ctx)
	var out []ModelValue
	s.aside(c.ctx, func() {
		defer cancel()
		out, err = s.services.Models.Run(ctx, model, in)
	})
	s.checkEnd(c.ctx, time.Now())
	c.ret(c.finish(out, err, c.u32(3), c.u32(4)))
}

// finish hands the outputs of a model over and returns the result of the host call.
func (c hostCall) finish(out []ModelValue, err error, addr, n uint32) int32 {
	if err != nil {
		c.note("model: " + err.Error())
		return errno(err)
	}
	if n > maxModelValues {
		return abi.ErrTooLarge
	}
	array, ok := c.bytes(addr, n*abi.ValueSize)
	if !ok {
		return abi.ErrBadPtr
	}
	for i := range n {
		desc := array[abi.ValueSize*i:][:abi.ValueSize]
		d := readDescriptor(desc)
		name, ok := c.valueName(&d)
		if !ok {
			return abi.ErrBadPtr
		}
		v, ok := pickOutput(out, name, int(i))
		if !ok {
			return abi.ErrNotFound
		}
		if rc := c.handOver(desc, &d, v); rc != 0 {
			return rc
		}
	}
	return 0
}

func pickOutput(out []ModelValue, name string, i int) (value.Value, bool) {
	if name == "" {
		if i >= len(out) {
			return value.Value{}, false
		}
		return out[i].Value, true
	}
	for k := range out {
		if out[k].Name == name {
			return out[k].Value, true
		}
	}
	return value.Value{}, false
}

// handOver copies v to the guest's buffer, or keeps it on the host's side.
func (c hostCall) handOver(desc []byte, d *descriptor, v value.Value) int32 {
	if len(v.Shape) > abi.MaxRank {
		return abi.ErrTooLarge
	}
	if d.dataPtr == 0 {
		h, ok := c.in.state.handles.add(v, nil, c.in.state.maxOutput)
		if !ok {
			return abi.ErrQuota
		}
		fillDescriptor(desc, &v, h)
		return 0
	}
	if v.Kind == abi.KindList || uint64(len(v.Data)) > d.dataLen {
		return abi.ErrTooLarge
	}
	dst, ok := c.bytes(d.dataPtr, uint32(len(v.Data)))
	if !ok {
		return abi.ErrBadPtr
	}
	pieces.Copy(dst, v.Data)
	fillDescriptor(desc, &v, 0)
	putData(desc, d.dataPtr, len(v.Data))
	return 0
}

// fillDescriptor describes a host-side value, but for its name.
func fillDescriptor(desc []byte, v *value.Value, handle uint32) {
	clear(desc[abi.ValKind:abi.ValueSize])
	putShape(desc, v)
	putData(desc, 0, len(v.Data))
	le.PutUint32(desc[abi.ValItems:], uint32(len(v.Items)))
	if handle != 0 {
		desc[abi.ValFlags] = abi.FlagHostSide
		le.PutUint32(desc[abi.ValHandle:], handle)
	}
}

func hostModelStart(c hostCall) {
	s := c.in.state
	m := &s.models
	model, err := s.resolve(c.ctx, c.u32(0))
	if err != nil {
		c.ret(errno(err))
		return
	}
	if m.open >= maxTickets || len(m.tickets) >= 64*maxTickets {
		c.ret(abi.ErrQuota)
		return
	}
	in, r, rc := c.modelInputs(c.u32(1), c.u32(2))
	if rc != 0 {
		c.ret(rc)
		return
	}
	_, copied := r.detach() // the guest goes on and could change what the model reads
	c.in.charge(uint64(copied) / bytesPerUnit)
	if m.changed == nil {
		m.changed = make(chan struct{}, 1)
	}
	ctx, cancel := s.serviceContext(c.ctx)
	t := &ticket{done: make(chan struct{})}
	m.tickets = append(m.tickets, t)
	m.cancels = append(m.cancels, cancel)
	m.open++
	changed, models := m.changed, s.services.Models
	m.wg.Go(func() {
		ctx, task := background.Fork(ctx)
		defer task.End()
		t.out, t.err = runModel(ctx, models, model, in)
		cancel()
		close(t.done)
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	c.ret(int32(len(m.tickets)))
}

// runModel turns a panic into an error: on a goroutine of its own it would end the process.
func runModel(ctx context.Context, models Models, model int, in []ModelValue) (out []ModelValue, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the model service panicked: %v", p)
		}
	}()
	return models.Run(ctx, model, in)
}

func (m *modelState) ticket(n uint32) (*ticket, bool) {
	if n == 0 || uint64(n) > uint64(len(m.tickets)) || m.tickets[n-1] == nil {
		return nil, false
	}
	return m.tickets[n-1], true
}

var errWaited = errors.New("the wait is over")

// await waits until one of the tickets is done and returns its index.
func (c hostCall) await(tickets []*ticket, timeoutMS int32) (i int, err error) {
	if i := firstDone(tickets); i >= 0 {
		return i, nil
	}
	c.in.state.aside(c.ctx, func() { i, err = c.in.state.await(c.ctx, tickets, timeoutMS) })
	return i, err
}

func (s *callState) await(parent context.Context, tickets []*ticket, timeoutMS int32) (int, error) {
	ctx, cancel := s.serviceContext(parent)
	defer cancel()
	var over <-chan time.Time
	if timeoutMS >= 0 {
		timer := time.NewTimer(time.Duration(timeoutMS) * time.Millisecond)
		defer timer.Stop()
		over = timer.C
	}
	for {
		if i := firstDone(tickets); i >= 0 {
			return i, nil
		}
		select {
		case <-s.models.changed:
		case <-over:
			if over = nil; firstDone(tickets) < 0 {
				return 0, errWaited
			}
		case <-ctx.Done():
			s.checkEnd(parent, time.Now())
			return 0, errWaited
		}
	}
}

// firstDone returns the index of the first ticket that is done, or -1.
func firstDone(tickets []*ticket) int {
	for i, t := range tickets {
		select {
		case <-t.done:
			return i
		default:
		}
	}
	return -1
}

func hostModelWait(c hostCall) {
	m := &c.in.state.models
	n := c.u32(0)
	t, ok := m.ticket(n)
	if !ok {
		c.ret(abi.ErrNotFound)
		return
	}
	if _, err := c.await([]*ticket{t}, int32(c.u32(3))); err != nil {
		c.ret(abi.ErrDeadline)
		return
	}
	c.in.state.checkEnd(c.ctx, time.Now())
	m.tickets[n-1] = nil
	m.open--
	c.ret(c.finish(t.out, t.err, c.u32(1), c.u32(2)))
}

func hostWaitAny(c hostCall) {
	m := &c.in.state.models
	n := c.u32(1)
	if n == 0 || n > maxTickets {
		c.ret(abi.ErrNotFound)
		return
	}
	array, ok := c.bytes(c.u32(0), 4*n)
	if !ok {
		c.ret(abi.ErrBadPtr)
		return
	}
	tickets := make([]*ticket, n)
	for i := range tickets {
		if tickets[i], ok = m.ticket(le.Uint32(array[4*i:])); !ok {
			c.ret(abi.ErrNotFound)
			return
		}
	}
	i, err := c.await(tickets, int32(c.u32(2)))
	if err != nil {
		c.ret(abi.ErrDeadline)
		return
	}
	c.ret(int32(i))
}
