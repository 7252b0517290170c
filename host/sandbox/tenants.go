package sandbox

import (
	"container/list"
	"fmt"
	"maps"
	"slices"
)

// tenantUse is what the plugins of one tenant have together.
type tenantUse struct {
	pools *pools
	name  string

	plugins map[*Plugin]struct{} // guarded by pools.mu, as are the following
	loads   int                  // guests that describe themselves, which are no instances of a plugin yet
	live    int                  // instances
	idle    int                  // of them
	waiting list.List            // of *waiter, oldest first
	bytes   int64                // of the linear memories of instances, and of snapshots
}

// TenantMemoryError says that the plugins of a tenant would have more memory than it may: Config.TenantMemory.
type TenantMemoryError struct {
	// Limit is what the tenant may have, Use what it has, and Need what was wanted besides, in bytes.
	Limit, Use, Need int64
}

// Error names the three.
func (e *TenantMemoryError) Error() string {
	return fmt.Sprintf("the tenant's plugins may have %d bytes of memory, of which %d are in use; %d were wanted", e.Limit, e.Use, e.Need)
}

func (e *TenantMemoryError) callError() *CallError {
	return &CallError{Kind: KindQuota, Text: e.Error(), Cause: e}
}

// join adds a plugin to its tenant.
func (p *pools) join(pl *Plugin, tenant string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.useLocked(tenant)
	u.plugins[pl] = struct{}{}
	pl.tenant = u
}

// enter returns a tenant's use for a guest that is no plugin yet, which must be left.
func (p *pools) enter(tenant string) *tenantUse {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.useLocked(tenant)
	u.loads++
	return u
}

// leaveTenant ends what enter began.
func (p *pools) leaveTenant(u *tenantUse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.loads--
	p.partLocked(u)
}

func (p *pools) useLocked(tenant string) *tenantUse {
	u := p.tenants[tenant]
	if u == nil {
		u = &tenantUse{pools: p, name: tenant, plugins: map[*Plugin]struct{}{}}
		p.tenants[tenant] = u
	}
	return u
}

// partLocked forgets a tenant of whom nothing is left.
func (p *pools) partLocked(u *tenantUse) {
	if len(u.plugins) == 0 && u.loads == 0 && u.live == 0 && u.bytes == 0 {
		delete(p.tenants, u.name)
	}
}

// inUse returns the instances that calls have, or are being made for them; pools.mu is held.
func (u *tenantUse) inUse() int { return u.live - u.idle }

// has reports whether a plugin is the tenant's.
func (u *tenantUse) has(pl *Plugin) bool { return pl.tenant == u }

func (u *tenantUse) fitsLocked(n int64) bool {
	limit := u.pools.memory(u.name)
	return limit < 0 || u.bytes+n <= limit
}

func (u *tenantUse) lackLocked(n int64) *TenantMemoryError {
	return &TenantMemoryError{Limit: u.pools.memory(u.name), Use: u.bytes, Need: n}
}

// grow takes n bytes for something of the tenant's; nil has no bound. What lies idle of the tenant's makes room. It does not
// wait for what runs: a guest that grows has memory itself that others may be waiting for.
func (u *tenantUse) grow(n int64) *TenantMemoryError {
	for u != nil {
		u.pools.mu.Lock()
		if u.fitsLocked(n) {
			u.bytes += n
			u.pools.mu.Unlock()
			return nil
		}
		lack := u.lackLocked(n)
		old := u.pools.oldestLocked(u.has)
		if old != nil {
			u.pools.unidleLocked(old)
		}
		u.pools.mu.Unlock()
		switch {
		case old != nil:
			u.pools.retire([]*instance{old})
		case !u.shed():
			return lack
		}
	}
	return nil
}

// shrink gives n bytes back.
func (p *pools) shrink(u *tenantUse, n int64) {
	if u == nil || n == 0 {
		return
	}
	p.mu.Lock()
	u.bytes -= n
	p.partLocked(u)
	evicted := p.dispatchLocked()
	p.mu.Unlock()
	p.shutAll(evicted)
}

// sized notes how large a new instance of a lane is.
func (p *pools) sized(l *lane, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.size = n
}

// shed drops a snapshot that no call of the tenant's uses, and reports whether there was one: the next call with its
// configuration makes it again.
func (u *tenantUse) shed() bool {
	u.pools.mu.Lock()
	plugins := slices.Collect(maps.Keys(u.plugins))
	u.pools.mu.Unlock()
	for _, pl := range plugins {
		pl.mu.Lock()
		old := pl.dropLaneLocked()
		pl.mu.Unlock()
		if old != nil {
			pl.host.pools.purge(old)
			old.drop()
			return true
		}
	}
	return false
}

// plenty reports whether the tenant has no more than a half of the memory that it may have.
func (u *tenantUse) plenty() bool {
	u.pools.mu.Lock()
	defer u.pools.mu.Unlock()
	return u.fitsLocked(u.bytes)
}

// TenantMemory returns what the plugins of a tenant have: the linear memories of their instances, running and idle, and
// their snapshots.
func (h *Host) TenantMemory(tenant string) int64 {
	h.pools.mu.Lock()
	defer h.pools.mu.Unlock()
	if u := h.pools.tenants[tenant]; u != nil {
		return u.bytes
	}
	return 0
}
