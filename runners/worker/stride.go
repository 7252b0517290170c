package worker

import (
	"sync"
	"time"

	"github.com/tandem-serve/tandem/internal/timeslice"
)

const (
	// longRun is how long a run goes on before the worker is taken for one that computes for long.
	longRun = 2 * time.Millisecond
	// shortRun is how long a run takes at most that makes the worker a prompt one again. It is less, so that runs about as long
	// as longRun do not make it change with each.
	shortRun = longRun / 2
)

// stride fits the slices of the worker's threads to its runs, so that short runs of one tenant begin at once although long ones
// of others have the cores: they are short when the worker starts, and long while its runs are. Its methods may be called at the same time.
type stride struct {
	set func(time.Duration) error

	mu   sync.Mutex // mu guards the following
	long int        // runs that go on and are long
	slow bool       // the slices are long
}

func newStride() *stride { return &stride{set: timeslice.Set} }

// lengthen notes that a run has become a long one.
func (s *stride) lengthen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.long++
	s.chooseLocked(true)
}

// ended notes that a run has ended, and how long it took.
func (s *stride) ended(took time.Duration, long bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if long {
		s.long--
	}
	if took <= shortRun && s.long == 0 {
		s.chooseLocked(false)
	}
}

func (s *stride) chooseLocked(slow bool) {
	if slow == s.slow {
		return
	}
	s.slow = slow
	slice := timeslice.Short
	if slow {
		slice = timeslice.Long
	}
	_ = s.set(slice) // a system that does not allow it has one length for all
}
