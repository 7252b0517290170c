package sandbox

import "context"

// NewHostWithReset returns a host that resets by the given method: 0 scan, 1 copy, 2 drop.
func NewHostWithReset(ctx context.Context, cfg Config, method uint8) (*Host, error) {
	return newHost(ctx, cfg, resetMethod(method))
}

// InProcess returns the compiler of a host that has no other.
func InProcess() Compiler { return inProcess{} }

// Callers returns how many wait for a module to be loaded.
func (h *Host) Callers() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.programs {
		n += len(p.callers)
	}
	return n
}
