package sandbox

import "context"

// NewHostWithReset returns a host that resets by the given method: 0 scan, 1 copy, 2 drop.
func NewHostWithReset(ctx context.Context, cfg Config, method uint8) (*Host, error) {
	return newHost(ctx, cfg, resetMethod(method))
}

// ResetMethod names how h resets.
func (h *Host) ResetMethod() string { return h.resetter.method.String() }

// Live returns the instances that exist.
func (h *Host) Live() int {
	h.pools.mu.Lock()
	defer h.pools.mu.Unlock()
	return h.pools.live
}

// Programs returns the modules that are loaded.
func (h *Host) Programs() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.programs)
}

// Waiting returns the calls that wait for an instance.
func (h *Host) Waiting() int {
	h.pools.mu.Lock()
	defer h.pools.mu.Unlock()
	return h.pools.waiters.Len()
}
