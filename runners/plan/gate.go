package plan

import (
	"sync"
	"time"
)

// Gate applies a plan to the runs of all models. Its zero value has no cores: [Gate.Set] comes first. Its methods may be called at
// the same time.
//
// While the models of one tenant run or wait, all goes by the plan: a model has what it is guaranteed, and more while fewer runs go on
// than there are cores. While several tenants' do, each in a process of its own as a rule, no model is guaranteed anything: a run takes
// as many places as it has threads, begins while one of as many places as cores, and one to follow, is free, and the next is of the
// tenant whose runs have had the least, in time by threads. Runs cannot be interrupted, so there is one way past: a run begins at once when all that go on
// are expected to be more than eight times as long. There are never more than three of these, since what is shorter than half a millisecond or
// longer than two seconds counts as that.
//
// On the cores, runs of tenants that are not behind do not wait for runs of those that are: the system gives them the cores anyway.
type Gate struct {
	// Behind tells whether the work of a tenant goes behind that of others. It is asked with a lock held and must not block. Default:
	// nobody's does. To be set before the first Seat.
	Behind func(tenant string) bool

	mu      sync.Mutex // mu guards the following
	devices map[string]*device
}

// Seat is one model's access to its device. It is a batch.Slots.
type Seat struct {
	gate *Gate
	wake func()

	// The Gate's lock guards the following.
	device     *device
	account    *account
	guaranteed int
	threads    int
	span       time.Duration // what a run is expected to take at most; 0: not known
	running    int
	waits      bool
	tries      uint64 // calls of Take that found no room
	closed     bool
}

// Seat returns the access of a new model of a tenant to a device. wake is called, from Give of any model, when another try may get a
// run; it must not block.
func (g *Gate) Seat(on, tenant string, wake func()) *Seat {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.deviceLocked(on)
	a := d.accounts[tenant]
	if a == nil {
		a = &account{tenant: tenant}
		d.accounts[tenant] = a
	}
	a.seats++
	return &Seat{gate: g, wake: wake, device: d, account: a, guaranteed: 1, threads: 1}
}

func (g *Gate) deviceLocked(name string) *device {
	if g.devices == nil {
		g.devices = map[string]*device{}
	}
	d := g.devices[name]
	if d == nil {
		d = &device{room: deviceRuns, accounts: map[string]*account{}}
		if name == CPU {
			d.behind = g.Behind
		}
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

// Keep has the model keep to its share: the runs that it may have whatever its tenant's others do, and the threads of each. What it
// was measured to take counts until runs have shown better.
func (s *Seat) Keep(share *Share) {
	s.gate.mu.Lock()
	s.guaranteed = max(share.Guaranteed, 1)
	s.threads = max(share.Threads, 1)
	if s.span == 0 {
		s.span = share.Measured.at(s.threads)
	}
	s.gate.mu.Unlock()
	s.wake()
}

// Take implements batch.Slots.
func (s *Seat) Take() bool {
	now := time.Now()
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	d := s.device
	if !d.mayLocked(s, now) {
		s.tries++
		if !s.waits && !s.closed {
			d.queueLocked(s, now)
		}
		return false
	}
	d.beginLocked(s, now)
	return true
}

// Give implements batch.Slots. Those who wait are asked in turn until nobody may take what is free.
func (s *Seat) Give() {
	now := time.Now()
	s.gate.mu.Lock()
	d := s.device
	d.endLocked(s, now)
	waiting := d.waiting > 0
	s.gate.mu.Unlock()
	if waiting {
		d.offer(s.gate)
	}
}

// Close ends the waiting of a model that is closed; runs that go on are given back as before.
func (s *Seat) Close() {
	s.gate.mu.Lock()
	if !s.closed {
		s.closed = true
		s.device.leaveLocked(s)
		s.account.seats--
		s.device.forgetLocked(s.account)
	}
	s.gate.mu.Unlock()
	s.device.offer(s.gate)
}

// Running returns the runs that go on on a device.
func (g *Gate) Running(on string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.deviceLocked(on).runs)
}
