package plan

import (
	"slices"
	"sync"
)

// Gate applies a plan to the runs of all models. Its zero value has no cores: [Gate.Set] comes first. Its methods may be called at
// the same time.
type Gate struct {
	mu      sync.Mutex // mu guards the following
	devices map[string]*device
}

// device is what the models of a device share.
type device struct {
	room    int // runs at once, beyond which there are only guaranteed ones
	running int
	waiting []*Seat // who found no room, in the order in which they came
}

// Seat is one model's access to its device. It is a batch.Slots.
type Seat struct {
	gate *Gate
	wake func()

	// The Gate's lock guards the following.
	device     *device
	guaranteed int
	running    int
	waits      bool
	tries      uint64 // calls of Take that found no room
	closed     bool
}

// Seat returns a new model's access to a device. wake is called, from Give of any model, when another try may get a run; it must not
// block.
func (g *Gate) Seat(on string, wake func()) *Seat {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &Seat{gate: g, wake: wake, device: g.deviceLocked(on), guaranteed: 1}
}

func (g *Gate) deviceLocked(name string) *device {
	if g.devices == nil {
		g.devices = map[string]*device{}
	}
	d := g.devices[name]
	if d == nil {
		d = &device{room: deviceRuns}
		g.devices[name] = d
	}
	return d
}

// Set sets how many runs go on at once on the cores before a model gets no more than what it is guaranteed.
func (g *Gate) Set(m Machine) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deviceLocked(CPU).room = m.Whole()
}

// Guarantee sets how many runs the model may always have, at least 1.
func (s *Seat) Guarantee(runs int) {
	s.gate.mu.Lock()
	s.guaranteed = max(runs, 1)
	s.gate.mu.Unlock()
	s.wake()
}

// Take implements batch.Slots.
func (s *Seat) Take() bool {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	d := s.device
	free := d.running < d.room && (len(d.waiting) == 0 || d.waiting[0] == s)
	if s.running >= s.guaranteed && !free {
		s.tries++
		if !s.waits && !s.closed {
			s.waits = true
			d.waiting = append(d.waiting, s)
		}
		return false
	}
	s.stopWaitingLocked()
	s.running++
	d.running++
	return true
}

// Give implements batch.Slots. Those who wait are asked in turn until one takes what is free.
func (s *Seat) Give() {
	s.gate.mu.Lock()
	d := s.device
	s.running--
	d.running--
	s.gate.mu.Unlock()
	d.offer(s.gate)
}

// offer wakes those who wait while there is room, the first first. Who does not even try to take it has nothing to run any more.
func (d *device) offer(g *Gate) {
	for {
		g.mu.Lock()
		if len(d.waiting) == 0 || d.running >= d.room {
			g.mu.Unlock()
			return
		}
		next := d.waiting[0]
		before := next.tries
		g.mu.Unlock()
		next.wake()
		g.mu.Lock()
		if next.tries == before {
			next.stopWaitingLocked()
		}
		g.mu.Unlock()
	}
}

func (s *Seat) stopWaitingLocked() {
	if !s.waits {
		return
	}
	s.waits = false
	s.device.waiting = slices.DeleteFunc(s.device.waiting, func(o *Seat) bool { return o == s })
}

// Close ends the waiting of a model that is closed; runs that go on are given back as before.
func (s *Seat) Close() {
	s.gate.mu.Lock()
	s.closed = true
	s.stopWaitingLocked()
	s.gate.mu.Unlock()
	s.device.offer(s.gate)
}

// Running returns the runs that go on on a device.
func (g *Gate) Running(on string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.deviceLocked(on).running
}
