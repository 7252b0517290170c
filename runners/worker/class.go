package worker

import (
	"log/slog"

	"github.com/tandem-serve/tandem/internal/schedclass"
)

// Reclass has the processes of a tenant scheduled as Config.Behind says now. To be called whenever that has changed.
func (p *Pool) Reclass(tenant string) {
	p.mu.Lock()
	var of []*group
	for key, g := range p.groups {
		if key.Tenant == tenant {
			of = append(of, g)
		}
	}
	p.mu.Unlock()
	for _, g := range of {
		g.mu.Lock()
		current := g.current
		g.mu.Unlock()
		if current != nil {
			current.reclass()
		}
	}
}

// reclass moves the threads of the process to the scheduling class that its tenant's work has now.
func (p *process) reclass() {
	p.classing.Lock()
	defer p.classing.Unlock()
	class := schedclass.Normal
	if p.g.pool.config.Behind(p.g.key.Tenant) {
		class = schedclass.Idle
	}
	if class == p.class || p.dead.Load() {
		return
	}
	if err := schedclass.Process(p.pid(), class); err != nil {
		if !p.dead.Load() {
			p.g.pool.config.Logger.Warn("a worker cannot be moved between scheduling classes", slog.String("tenant", p.g.key.owner()), slog.Any("error", err))
		}
		return
	}
	p.class = class
}
