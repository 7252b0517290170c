package plan

import (
	"slices"
	"time"
)

// A run goes past those that wait when all that go on are expected to take more than lengthier times as long as it.
const (
	lengthier = 8
	shortest  = 500 * time.Microsecond
	longest   = 2 * time.Second
	// MostPassing is how many runs can go past others at once: lengthier to that power and once more is beyond longest/shortest.
	MostPassing = 3
)

// toFollow is how many places there are beyond the cores, so that they do not idle between two runs.
const toFollow = 1

// device is what the models of a device share. The Gate's lock guards it.
type device struct {
	room     int           // places
	runs     []run         // that go on, in the order in which they began
	taken    int           // places; more than there are while one run has several, goes past others, or is guaranteed
	waiting  int           // seats
	clock    time.Duration // the least virtual time of those who waited or began when a run began last
	busy     []*account    // that run or wait
	accounts map[string]*account
	behind   func(tenant string) bool // nil: nobody is
}

// run is one that goes on.
type run struct {
	seat   *Seat
	began  time.Time
	span   time.Duration
	places int
}

// account is what one tenant's runs use of a device together.
type account struct {
	tenant  string
	seats   int           // that are open
	running int           // runs
	taken   int           // places
	virtual time.Duration // time by places, moved up by what it did not want, as of at
	at      time.Time
	waiting []*Seat // who found no room, in the order in which they came
}

func (a *account) idle() bool { return a.running == 0 && len(a.waiting) == 0 }

// settle counts what the account's runs have used until now.
func (a *account) settle(now time.Time) {
	a.virtual += time.Duration(a.taken) * max(now.Sub(a.at), 0)
	a.at = now
}

// enterLocked notes that an account wants a run. While none of it waits, what it did not want is not owed to it, whether it wanted
// nothing or little: else it would have others wait until it has had all that. One whose runs go on is owed the longest that goes on at
// most: its next may have wanted to begin before that did.
func (d *device) enterLocked(a *account, now time.Time) {
	a.settle(now)
	switch {
	case a.idle():
		d.busy = append(d.busy, a)
		a.virtual = max(a.virtual, d.clock)
	case len(a.waiting) == 0:
		a.virtual = max(a.virtual, d.clock-d.longestLocked())
	}
}

// longestLocked returns the most that a run that goes on is expected to take, in time by places.
func (d *device) longestLocked() time.Duration {
	var most time.Duration
	for _, r := range d.runs {
		most = max(most, r.span*time.Duration(r.places))
	}
	return most
}

func (d *device) partLocked(a *account) {
	if a.idle() {
		d.busy = slices.DeleteFunc(d.busy, func(o *account) bool { return o == a })
		d.forgetLocked(a)
	}
}

// forgetLocked lets go of an account that nobody needs any more.
func (d *device) forgetLocked(a *account) {
	if a.seats == 0 && a.idle() && d.accounts[a.tenant] == a {
		delete(d.accounts, a.tenant)
	}
}

// aloneLocked reports whether nobody but a wants the device.
func (d *device) aloneLocked(a *account) bool {
	return len(d.busy) == 0 || len(d.busy) == 1 && d.busy[0] == a
}

// mayLocked reports whether a run of s may begin now.
func (d *device) mayLocked(s *Seat, now time.Time) bool {
	a := s.account
	if d.aloneLocked(a) {
		first := len(a.waiting) == 0 || a.waiting[0] == s
		return s.running < s.guaranteed || len(d.runs) < d.room && first
	}
	if d.goesAheadLocked(a) {
		return true
	}
	if d.taken < d.room+toFollow {
		return d.waiting == 0 || d.firstLocked(now) == s
	}
	return d.passesLocked(s)
}

// goesAheadLocked reports whether a run of a need not wait for those that go on, since enough of them are behind it.
func (d *device) goesAheadLocked(a *account) bool {
	if d.behind == nil || d.behind(a.tenant) {
		return false
	}
	behind := 0
	for _, r := range d.runs {
		if d.behind(r.seat.account.tenant) {
			behind += r.places
		}
	}
	return behind > 0 && d.taken-behind < d.room+toFollow
}

// firstLocked returns who is first in line of all that wait: of the account that has had the least the one that came first.
func (d *device) firstLocked(now time.Time) *Seat {
	var first *account
	for _, a := range d.busy {
		a.settle(now)
		if len(a.waiting) > 0 && (first == nil || a.virtual < first.virtual) {
			first = a
		}
	}
	if first == nil {
		return nil
	}
	return first.waiting[0]
}

// passesLocked reports whether a run of s is so much shorter than all that go on that it does not wait for them.
func (d *device) passesLocked(s *Seat) bool {
	if s.span == 0 {
		return false
	}
	limit := lengthier * s.expected()
	return !slices.ContainsFunc(d.runs, func(r run) bool { return r.span <= limit })
}

// expected is what a run of s counts as. One of which nothing is known counts as the longest.
func (s *Seat) expected() time.Duration {
	if s.span == 0 {
		return longest
	}
	return min(max(s.span, shortest), longest)
}

func (d *device) beginLocked(s *Seat, now time.Time) {
	a := s.account
	d.enterLocked(a, now)
	from := a.virtual
	if first := d.firstLocked(now); first != nil { // who goes past it may have had more
		from = min(from, first.account.virtual)
	}
	d.clock = max(d.clock, from)
	places := min(s.threads, d.room)
	d.runs = append(d.runs, run{s, now, s.expected(), places})
	d.taken += places
	a.taken += places
	a.running++
	s.running++
	d.leaveLocked(s)
}

// endLocked ends a run of s. Those of one seat are not told apart: it was the one that began first.
func (d *device) endLocked(s *Seat, now time.Time) {
	i := slices.IndexFunc(d.runs, func(r run) bool { return r.seat == s })
	r := d.runs[i]
	d.runs = slices.Delete(d.runs, i, i+1)
	a := s.account
	a.settle(now)
	d.taken -= r.places
	a.taken -= r.places
	a.running--
	s.running--
	s.span = max(now.Sub(r.began), s.span-s.span/8, 1)
	d.partLocked(a)
}

// queueLocked has s wait.
func (d *device) queueLocked(s *Seat, now time.Time) {
	a := s.account
	d.enterLocked(a, now)
	s.waits = true
	a.waiting = append(a.waiting, s)
	d.waiting++
}

// leaveLocked ends the waiting of s, if it waits.
func (d *device) leaveLocked(s *Seat) {
	if !s.waits {
		return
	}
	a := s.account
	s.waits = false
	a.waiting = slices.DeleteFunc(a.waiting, func(o *Seat) bool { return o == s })
	d.waiting--
	d.partLocked(a)
}

// nextLocked returns who of those who wait may begin a run now; nil when none may.
func (d *device) nextLocked(now time.Time) *Seat {
	first := d.firstLocked(now)
	if first == nil || d.mayLocked(first, now) {
		return first
	}
	var next *Seat
	for _, a := range d.busy {
		for _, s := range a.waiting {
			if d.mayLocked(s, now) && (next == nil || a.virtual < next.account.virtual) {
				next = s
			}
		}
	}
	return next
}

// offer wakes those who wait while they may begin, the first first. Who does not even try has nothing to run any more.
func (d *device) offer(g *Gate) {
	for {
		g.mu.Lock()
		next := d.nextLocked(time.Now())
		if next == nil {
			g.mu.Unlock()
			return
		}
		before := next.tries
		g.mu.Unlock()
		next.wake()
		g.mu.Lock()
		if next.tries == before {
			d.leaveLocked(next)
		}
		g.mu.Unlock()
	}
}
