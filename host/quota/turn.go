package quota

import (
	"context"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Turn waits until fewer than Config.Changes changes of the tenant go on, first come, first served, and returns what ends this one.
// It returns the cause of ctx's end when that comes first. How many wait is bounded by the tenant's calls in flight.
func (d *Door) Turn(ctx context.Context, t tenant.ID) (done func(), err error) {
	d.mu.Lock()
	a := d.accountLocked(t, d.cfg.Now())
	if a.changes == nil {
		a.changes = make(chan struct{}, d.cfg.Changes)
	}
	turns := a.changes
	d.mu.Unlock()
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
