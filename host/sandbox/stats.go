package sandbox

import "time"

// CoreTime returns for how long the guests of a tenant had a core since the start, and the host worked for them. It is cheap and
// may be called at any time.
func (h *Host) CoreTime(tenant string) time.Duration {
	h.turns.mu.Lock()
	a := h.turns.byName[tenant]
	h.turns.mu.Unlock()
	if a == nil {
		return 0
	}
	return time.Duration(a.cpu.Load())
}

// Stats is how full a host is at one moment.
type Stats struct {
	// Instances exist, running and idle; Idle of them lie idle; MaxInstances is their bound.
	Instances, Idle, MaxInstances int
	// Waiting calls wait for an instance; MaxWaiting is their bound.
	Waiting, MaxWaiting int
	// Running guests have a core, of Cores; Queued ones have an instance and wait for a core.
	Running, Queued, Cores int
	// GuestBytes is what snapshots have, and guests have grown to beyond theirs; MaxGuestBytes is its bound.
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
	s.Instances, s.Waiting, s.Idle = h.pools.live, h.pools.waiters.n, h.pools.idle.n
	h.pools.mu.Unlock()
	h.turns.mu.Lock()
	s.Running, s.Queued, s.Cores = h.turns.running, h.turns.waiting, h.turns.cores
	h.turns.mu.Unlock()
	s.GuestBytes, s.MaxGuestBytes = int64(h.memory.used.Load()), h.cfg.GuestBytes
	h.mu.Lock()
	s.Programs = len(h.programs)
	h.mu.Unlock()
	return s
}
