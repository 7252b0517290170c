package sandbox

// Stats is how full a host is at one moment.
type Stats struct {
	// Instances exist, running and idle; Idle of them lie idle; MaxInstances is their bound.
	Instances, Idle, MaxInstances int
	// Waiting calls wait for an instance; MaxWaiting is their bound.
	Waiting, MaxWaiting int
	// GuestBytes is what guests have grown to beyond their snapshots; MaxGuestBytes is its bound.
	GuestBytes, MaxGuestBytes int64
	// Programs are loaded.
	Programs int
	// Reset names how instances are reset on this system: "scan", "copy", "drop" or "none".
	Reset string
}

// Stats returns how full h is. It is cheap and may be called at any time.
func (h *Host) Stats() Stats {
	s := Stats{MaxInstances: h.cfg.MaxInstances, MaxWaiting: h.cfg.MaxWaiting, Reset: h.resetter.method.String()}
	h.pools.mu.Lock()
	s.Instances, s.Waiting, s.Idle = h.pools.live, h.pools.waiters.Len(), h.pools.idle.n
	h.pools.mu.Unlock()
	s.GuestBytes, s.MaxGuestBytes = int64(h.memory.used.Load()), h.cfg.GuestBytes
	h.mu.Lock()
	s.Programs = len(h.programs)
	h.mu.Unlock()
	return s
}
