package server

import (
	"context"
	"log/slog"

	"github.com/tandem-serve/tandem/host/background"
)

// openBackground makes the scheduler that has busy tenants work behind the others, where the system lets it.
func (s *Server) openBackground(ctx context.Context, p *parts) error {
	scheduler, err := background.New(background.Config{
		Cores: s.cfg.Cores, Logger: s.cfg.Logger,
		Changed: func(tenant string) {
			if w, ok := p.models.(*workerModels); ok {
				w.pool.Reclass(tenant)
			}
		},
	})
	if err != nil {
		s.cfg.Logger.InfoContext(ctx, "a busy tenant can slow the others down: its work cannot be put behind theirs", slog.Any("error", err))
		scheduler = background.Yielding()
	}
	p.background = scheduler
	return nil
}
