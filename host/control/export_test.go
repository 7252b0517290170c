package control

import (
	"context"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Forget closes a release and has the next call ask the catalog, as on a server that starts.
func (m *Manager) Forget(t tenant.ID, name string, version int) {
	m.drop(graphKey{t, name}, []int{version})
}

// SweepSpares removes what nobody has used since before, as is done twice a minute.
func (m *Manager) SweepSpares(ctx context.Context, before time.Time) error {
	return m.disk.sweep(ctx, before)
}

// AdoptSpares is what Run begins with.
func (m *Manager) AdoptSpares(ctx context.Context) error { return m.disk.adopt(ctx) }

// Tend does what is done every minute, for models that nobody calls.
func (m *Manager) Tend(ctx context.Context) { m.life.tend(ctx, m.life.tend(ctx, nil)) }

// MeasureFromNowOn has models measured that were not to be.
func (m *Manager) MeasureFromNowOn() { m.life.measure = true }
