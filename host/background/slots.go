package background

import (
	"slices"
	"sync"
	"time"
)

const (
	// slotLength is how long a goroutine keeps its slot while others wait for one.
	slotLength = 4 * time.Millisecond
	// lease is how long it keeps a slot without looking. A goroutine that waits for something and has not said so loses it then.
	lease = 20 * time.Millisecond
)

// slots say which goroutines of tenants that are behind compute: as many as there are cores. Linux's idle class is not strict: a thread that
// has waited while others of its class ran has something coming, and keeps the core from a normal thread that wakes until it has had that,
// for up to a tick of the clock (4 ms). Where a core has one thread of that class at most, none has waited.
//
// The tenants whose goroutines wait get slots in turn, and the goroutines of one in the order in which they came.
//
// Locks: slots.mu, under which nothing blocks. It is never held together with Scheduler.mu.
type slots struct {
	cores int

	mu      sync.Mutex // guards the following, places, and the places of accounts
	holders []*place   // at most as many as there are cores
	line    []*account // with places that wait, each once, who is next first
}

// place is one goroutine's among the slots.
type place struct {
	has   bool
	since time.Time     // when it got its slot
	seen  time.Time     // when it looked last
	ready chan struct{} // closed when it gets a slot, while it waits
}

// take gives the goroutine of p a slot, and waits for one if there is none. A goroutine that has one keeps it, unless it has had it for
// long and others wait.
func (s *slots) take(a *account, p *place) {
	now := time.Now()
	s.mu.Lock()
	if p.has && (now.Sub(p.since) < slotLength || len(s.line) == 0) {
		p.seen = now
		s.mu.Unlock()
		return
	}
	s.dropLocked(p)
	ready := make(chan struct{})
	p.ready = ready
	a.places = append(a.places, p)
	if len(a.places) == 1 {
		s.line = append(s.line, a)
	}
	s.grantLocked(now)
	s.mu.Unlock()
	s.wait(ready)
}

// wait waits for a slot, and takes those that are held for too long from their holders.
func (s *slots) wait(ready <-chan struct{}) {
	select {
	case <-ready:
		return
	default:
	}
	tick := time.NewTicker(lease)
	defer tick.Stop()
	for {
		select {
		case <-ready:
			return
		case <-tick.C:
			s.reap()
		}
	}
}

// give gives the slot of p to the next, if p has one.
func (s *slots) give(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(p)
	s.grantLocked(time.Now())
}

func (s *slots) reap() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range slices.Clone(s.holders) {
		if now.Sub(p.seen) >= lease {
			s.dropLocked(p)
		}
	}
	s.grantLocked(now)
}

func (s *slots) dropLocked(p *place) {
	if p.has {
		p.has = false
		s.holders = slices.DeleteFunc(s.holders, func(o *place) bool { return o == p })
	}
}

// grantLocked gives free slots to those who wait.
func (s *slots) grantLocked(now time.Time) {
	for len(s.holders) < s.cores && len(s.line) > 0 {
		a := s.line[0]
		s.line = slices.Delete(s.line, 0, 1)
		p := a.places[0]
		a.places = slices.Delete(a.places, 0, 1)
		if len(a.places) > 0 {
			s.line = append(s.line, a)
		}
		p.has, p.since, p.seen = true, now, now
		s.holders = append(s.holders, p)
		close(p.ready)
	}
}
