package worker

import (
	"errors"
	"log/slog"
	"time"
)

// linger sees to the end of a run that goes on although its caller has gone: ONNX Runtime looks only between two operators whether
// it is to end. The process is vacated and ends as soon as nothing else runs in it, at once when nothing does. When what else runs
// takes longer than [Config.HangLimit], the process ends with it.
func (s *slot) linger() {
	s.ended.Store(true)
	p := s.p
	p.mu.Lock()
	s.lingers = true
	p.lingering++
	label := s.model.label
	p.mu.Unlock()
	err := s.await(p.g.forbearance())
	if errors.Is(err, errAbandoned) {
		p.vacate(label)
		err = s.await(p.g.pool.config.HangLimit)
	}
	if errors.Is(err, errAbandoned) {
		p.kill(death{asked: true, text: "a run of model " + label + " went on after its end"})
		<-p.gone
	}
	s.release()
}

// vacate has the process take no more, and end when nothing runs in it but what lingers. That is no crash: no model is blamed, and
// another process starts at once and loads the models again.
func (p *process) vacate(label string) {
	p.mu.Lock()
	first := p.refuseLocked() == nil
	if first {
		p.retired, p.vacated = true, true
	}
	p.mu.Unlock()
	if !first {
		return
	}
	p.g.overran()
	pool := p.g.pool
	pool.overruns.Add(1)
	pool.config.Logger.Warn("worker replaced: a run went on after its end", slog.String("tenant", p.g.key.owner()),
		slog.String("device", p.g.key.Device), slog.Int("pid", p.pid()), slog.String("model", label))
	pool.work.also(func() { p.g.reload(pool.root) })
	p.endVacated()
}

// endVacated ends a vacated process in which nobody has a use for anything any more.
func (p *process) endVacated() {
	p.mu.Lock()
	over := p.vacated && p.killed == nil && len(p.all)-len(p.free) <= p.lingering && len(p.loads) == 0
	p.mu.Unlock()
	if over {
		p.kill(death{asked: true, text: "a run went on after its end"})
	}
}

// overran notes that a process had to be ended for a run.
func (g *group) overran() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.overruns++
	g.lastOverrun = time.Now()
}

// forbearance returns how long a run may go on, after its caller got its answer, before the process is vacated for it: not at all
// the first time, then twice as long each time within a minute, up to [Config.HangLimit]. So nobody can have the worker started
// again and again.
func (g *group) forbearance() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.lastOverrun) > calm {
		g.overruns = 0
	}
	if g.overruns == 0 {
		return 0
	}
	return min(g.pool.config.EndGrace<<min(g.overruns, 20), g.pool.config.HangLimit)
}
