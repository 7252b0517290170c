package control

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dustin/go-humanize"

	"github.com/tandem-serve/tandem/runners"
)

// shelf bounds the memory of the models that are loaded. Who needs room has the models unloaded that were used longest ago; they
// finish what they run first and are loaded again when they are called.
type shelf struct {
	budget int64 // bytes; 0: none

	turn chan struct{} // held by the one that makes room; capacity 1
	tick atomic.Uint64

	mu      sync.Mutex // mu guards the following
	used    int64      // bytes held or reserved
	holders []*resident
	changed chan struct{} // closed, and made anew, when a model was loaded or let go
}

func newShelf(budget int64) *shelf {
	return &shelf{budget: budget, turn: make(chan struct{}, 1), changed: make(chan struct{})}
}

// reserve sets bytes aside for r, which is about to be loaded, and unloads others until there is room. One makes room at a time, in
// the order in which they came. Errors: runners.ErrUnavailable when it can never fit, and the context's.
func (s *shelf) reserve(ctx context.Context, r *resident, bytes int64) error {
	if s.budget > 0 && bytes > s.budget {
		return fmt.Errorf("%w: it takes about %s, and all models together may take %s: give the server more with --model-memory",
			runners.ErrUnavailable, humanize.IBytes(uint64(bytes)), humanize.IBytes(uint64(s.budget)))
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	for {
		s.mu.Lock()
		if s.budget == 0 || s.used+bytes <= s.budget {
			s.used += bytes
			s.holders = append(s.holders, r)
			r.held = bytes
			s.mu.Unlock()
			return nil
		}
		victim, changed := s.victimLocked(r), s.changed
		s.mu.Unlock()
		if victim != nil {
			victim.unload()
			continue
		}
		select { // all are being loaded
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// victimLocked returns the loaded model that was used longest ago, those that run nothing first.
func (s *shelf) victimLocked(but *resident) *resident {
	var victim *resident
	for _, r := range s.holders {
		if r == but || !r.loaded() {
			continue
		}
		if victim == nil || !r.busy() && victim.busy() || r.busy() == victim.busy() && r.used.Load() < victim.used.Load() {
			victim = r
		}
	}
	return victim
}

// settle replaces what was reserved for r by what it was seen to take. The budget may be exceeded by the difference until the next
// model is loaded.
func (s *shelf) settle(r *resident, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += bytes - r.held
	r.held = bytes
}

// tell has those who wait for room look again.
func (s *shelf) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked()
}

func (s *shelf) tellLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// free gives back what r held.
func (s *shelf) free(r *resident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= r.held
	r.held = 0
	s.holders = slices.DeleteFunc(s.holders, func(o *resident) bool { return o == r })
	s.tellLocked()
}

// holds returns what r holds.
func (s *shelf) holds(r *resident) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.held
}

// holding returns the bytes that are held or reserved.
func (s *shelf) holding() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}
