package sandbox

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// declared is what a module said about itself to one tenant.
type declared struct {
	desc  abi.Description
	funcs map[string]*function
	heads map[string]*head
}

// declare reads a description.
func declare(doc []byte) (*declared, error) {
	desc, funcs, err := parseDescription(doc)
	if err != nil {
		return nil, err
	}
	d := &declared{desc: desc, funcs: map[string]*function{}, heads: map[string]*head{}}
	for _, f := range funcs {
		d.funcs[f.name] = f
		d.heads[f.name] = newHead(f)
	}
	return d, nil
}

// said returns what a module said about itself to a tenant before, as far as that is kept, or nil. No tenant is given what it said to
// another one, whose limits it may have met.
func (h *Host) said(digest [32]byte, tenant string) *declared {
	doc := h.recallFrom(folderSaid, digest, tenant)
	if doc == nil {
		return nil
	}
	d, err := declare(doc)
	if err != nil {
		return nil
	}
	return d
}

// ask returns what a module says about itself, and keeps it for its tenant.
func (p *program) ask(ctx context.Context, of *Loading) (*declared, error) {
	doc, err := p.describe(ctx, of)
	if err != nil {
		return nil, err
	}
	d, err := declare(doc)
	if err != nil {
		return nil, err
	}
	p.host.rememberIn(folderSaid, p.digest, of.Tenant, doc)
	return d, nil
}

// describe asks the module for its description, at its tenant's expense.
func (p *program) describe(ctx context.Context, of *Loading) ([]byte, error) {
	h := p.host
	own := h.pools.enter(of.Tenant)
	defer h.pools.leaveTenant(own)
	mem, err := reserve(uint64(h.cfg.MemoryLimitBytes), purse{shared: &h.memory, own: own})
	if err != nil {
		return nil, err
	}
	limits := startLimits{step: h.cfg.DescribeTimeout}
	state := h.newStartState(&Services{Spend: of.Spend}, nil, h.turns.account(of.Tenant))
	limits.extend(state)
	in, err := newInstance(ctx, p, mem, state)
	if err != nil {
		return nil, rejectGuest("start", "start section", err)
	}
	doc, err := in.describe(ctx, limits)
	if terr := state.tell(time.Now()); terr != nil && err == nil {
		err = state.outOfFuel(terr)
	}
	return doc, errors.Join(err, in.close(ctx))
}

// describe starts the instance and returns its description.
func (in *instance) describe(ctx context.Context, limits startLimits) ([]byte, error) {
	if err := in.initialize(ctx, limits); err != nil {
		return nil, rejectGuest("start", "start", err)
	}
	limits.extend(in.state)
	at, err := in.enter(ctx, in.mod.ExportedFunction(abi.ExportDescribe))
	if err != nil {
		return nil, rejectGuest("describe", abi.ExportDescribe, err)
	}
	ptr, n := uint32(at>>32), uint32(at&math.MaxUint32)
	if n > maxDescriptionBytes {
		return nil, reject("describe", "%s: a description of %d bytes, want at most %d", abi.ExportDescribe, n, maxDescriptionBytes)
	}
	doc, ok := in.mod.Memory().Read(ptr, n)
	if !ok {
		return nil, reject("describe", "%s: %d bytes at 0x%x lie outside memory", abi.ExportDescribe, n, ptr)
	}
	return append([]byte(nil), doc...), nil
}

// rejectGuest turns a guest's fault during upload into a RejectError. Faults that are not the guest's stay as they are.
func rejectGuest(code, step string, err error) error {
	var ce *CallError
	if !errors.As(err, &ce) {
		return err
	}
	switch {
	case ce.Kind == KindCanceled || ce.Kind == KindDeadline && ce.Cause != nil:
		return ce.Cause
	case ce.Kind == KindClosed:
		return ErrClosed
	case ce.Kind == KindHost, ce.Kind == KindQuota: // the tenant's limits, which are not the module's fault
		return ce
	case ce.Kind == KindStart:
		return reject(code, "%s", ce.Text)
	default:
		return reject(code, "%s: %s", step, ce.Text)
	}
}
