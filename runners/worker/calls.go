package worker

import (
	"context"
	"fmt"
	"time"
)

// acquire returns a slot for one run of m; it waits when all are in use. errRetired and errDead say that another process is to be
// asked.
func (p *process) acquire(ctx context.Context, m *Model) (*slot, error) {
	select {
	case p.tokens <- struct{}{}:
	default:
		select {
		case p.tokens <- struct{}{}:
		case <-p.gone:
			return nil, errDead
		case <-ctx.Done():
			return nil, fmt.Errorf("run model: %w", ctx.Err())
		}
	}
	p.mu.Lock()
	if err := p.refuseLocked(); err != nil {
		p.mu.Unlock()
		<-p.tokens
		return nil, err
	}
	var s *slot
	if n := len(p.free); n > 0 { // the one used last: its memory and its thread are warm
		s = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		s = newSlot(p, uint32(len(p.all)))
		p.all = append(p.all, s)
	}
	s.model = m
	p.others.Add(1) // until put
	p.mu.Unlock()
	if !s.open {
		s.open = true
		_ = p.link.send(frame{kind: kindOpen, a: s.i}, nil) // when it fails the worker is gone, which ends the call too
	}
	return s, nil
}

func (p *process) refuseLocked() error {
	switch {
	case p.retired:
		return errRetired
	case p.killed != nil, p.dead.Load():
		return errDead
	}
	return nil
}

// put gives a slot back.
func (p *process) put(s *slot) {
	p.mu.Lock()
	s.model, s.observer = nil, nil
	if s.lingers {
		s.lingers = false
		p.lingering--
	}
	p.free = append(p.free, s)
	p.touch()
	last := p.dead.Load() && len(p.free) == len(p.all)
	vacated := p.vacated
	p.mu.Unlock()
	if vacated {
		p.endVacated()
	}
	<-p.tokens
	if last {
		p.discard()
	}
	p.others.Done()
}

// load has the worker load m.
func (p *process) load(ctx context.Context, m *Model) (id uint32, r loadReply, err error) {
	file, size, done, err := m.source(ctx)
	if err != nil {
		return 0, r, err
	}
	defer done()
	a := &answer{model: m, came: make(chan loadReply, 1)}
	if id, err = p.expect(a); err != nil {
		return 0, r, errRetired
	}
	defer p.others.Done()
	_ = p.link.send(frame{kind: kindLoad, a: id, file: file}, loadRequest{Size: size, Options: m.options}) // see gone below
	select {
	case r = <-a.came:
		return id, r, nil
	case <-p.gone:
		if p.cause.asked {
			return 0, r, errRetired
		}
		return 0, r, p.crashed(m)
	case <-ctx.Done():
	}
	_ = p.link.send(frame{kind: kindStopLoad, a: id}, nil) // likewise
	p.others.Go(func() { p.lateLoad(id, a) })
	return 0, r, fmt.Errorf("load model %s: %w", m.label, ctx.Err())
}

// lateLoad sees to the end of a load that nobody waits for any more.
func (p *process) lateLoad(id uint32, a *answer) {
	timer := time.NewTimer(loadHang)
	defer timer.Stop()
	select {
	case r := <-a.came:
		if r.Fault == nil {
			p.unload(id)
		}
	case <-p.gone:
	case <-timer.C:
		p.kill(death{model: a.model, text: fmt.Sprintf("loading model %s did not end within %v of its being given up", a.model.label, loadHang)})
	}
}

// loadHang is how long a load may go on after it was given up.
const loadHang = 30 * time.Second

// expect numbers a load and waits for its answer. It enters others.
func (p *process) expect(a *answer) (uint32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refuseLocked(); err != nil {
		return 0, err
	}
	p.others.Add(1)
	p.lastID++
	p.loads[p.lastID] = a
	return p.lastID, nil
}

// unload has the worker unload a model, and waits until it has, or is gone.
func (p *process) unload(id uint32) {
	a := &answer{came: make(chan loadReply, 1)}
	p.mu.Lock()
	refused := p.refuseLocked() != nil
	if !refused {
		p.loads[id] = a
	}
	p.mu.Unlock()
	if refused {
		return
	}
	_ = p.link.send(frame{kind: kindUnload, a: id}, nil) // when it fails the worker is gone
	select {
	case <-a.came:
	case <-p.gone:
	}
}
