package control

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dustin/go-humanize"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
)

// shelf bounds the memory of the models that are loaded, of all and of each tenant. Who needs room has the models unloaded that
// were used longest ago, those of its own tenant when the tenant's limits are reached; they finish what they run first and are
// loaded again when they are called.
type shelf struct {
	budget int64                         // bytes; 0: none
	limits func(tenant.ID) tenant.Limits // of tenants, from memory

	turn chan struct{} // held by the one that makes room; capacity 1
	tick atomic.Uint64

	mu      sync.Mutex // mu guards the following
	used    int64      // bytes held or reserved
	holders []*resident
	changed chan struct{} // closed, and made anew, when a model was loaded or let go
}

func newShelf(budget int64, limits func(tenant.ID) tenant.Limits) *shelf {
	return &shelf{budget: budget, limits: limits, turn: make(chan struct{}, 1), changed: make(chan struct{})}
}

// reserve sets bytes aside for r, which is about to be loaded, and unloads others until there is room. One makes room at a time, in
// the order in which they came. Errors: runners.ErrUnavailable when it can never fit, *tenant.QuotaError when its tenant may never
// have so much, and the context's.
func (s *shelf) reserve(ctx context.Context, r *resident, bytes int64) error {
	limits := s.limits(r.key.tenant)
	if err := s.check(r, limits, bytes); err != nil {
		return err
	}
	for {
		if err := s.makeOwnRoom(ctx, r, limits, bytes); err != nil {
			return err
		}
		taken, err := s.take(ctx, r, limits, bytes)
		if taken || err != nil {
			return err
		}
	}
}

// check refuses a model that takes more than there is for all, or than its tenant may ever have. Errors are those of reserve; the use in a
// *tenant.QuotaError is that of the tenant's other models.
func (s *shelf) check(r *resident, limits tenant.Limits, bytes int64) error {
	if s.budget > 0 && bytes > s.budget {
		return fmt.Errorf("%w: it takes about %s, and all models together may take %s: give the server more with --model-memory",
			runners.ErrUnavailable, humanize.IBytes(uint64(bytes)), humanize.IBytes(uint64(s.budget)))
	}
	if limits.ModelMemoryBytes < 0 || bytes <= limits.ModelMemoryBytes {
		return nil
	}
	s.mu.Lock()
	use := s.ownLocked(r.key.tenant).Bytes - r.held
	s.mu.Unlock()
	return &tenant.QuotaError{
		Quota: "model_memory_bytes", Limit: limits.ModelMemoryBytes, Use: use, Need: bytes, RetryAfterSeconds: tenant.RetryHeld,
		Advice: "push a smaller model or fewer instances of it, or ask for a higher limit",
	}
}

// makeOwnRoom unloads models of r's tenant until its limits leave room. It holds no turn: how long a tenant's models take to finish
// is no other tenant's business.
func (s *shelf) makeOwnRoom(ctx context.Context, r *resident, limits tenant.Limits, bytes int64) error {
	for {
		s.mu.Lock()
		full := s.ownLocked(r.key.tenant).reached(limits, bytes)
		victim, changed := s.victimLocked(r, true), s.changed
		s.mu.Unlock()
		if !full {
			return nil
		}
		if err := unloadOr(ctx, victim, changed); err != nil {
			return err
		}
	}
}

// take sets bytes aside for r as soon as there is room, in its turn. It reports false when the tenant's limits were reached
// meanwhile.
func (s *shelf) take(ctx context.Context, r *resident, limits tenant.Limits, bytes int64) (bool, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	for {
		s.mu.Lock()
		if s.ownLocked(r.key.tenant).reached(limits, bytes) {
			s.mu.Unlock()
			return false, nil
		}
		if s.budget == 0 || s.used+bytes <= s.budget {
			s.used += bytes
			s.holders = append(s.holders, r)
			r.held = bytes
			s.mu.Unlock()
			return true, nil
		}
		victim, changed := s.victimLocked(r, false), s.changed
		s.mu.Unlock()
		if err := unloadOr(ctx, victim, changed); err != nil {
			return false, err
		}
	}
}

// unloadOr unloads a model, or waits for a change when there is none to unload because all are being loaded.
func unloadOr(ctx context.Context, victim *resident, changed <-chan struct{}) error {
	if victim != nil {
		victim.unload()
		return nil
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ModelUse is what the loaded models of one tenant take.
type ModelUse struct {
	Models int64
	// Bytes is an estimate.
	Bytes int64
}

// reached reports whether one more model of so many bytes would be too much.
func (u ModelUse) reached(l tenant.Limits, bytes int64) bool {
	return l.LoadedModels >= 0 && u.Models+1 > l.LoadedModels || l.ModelMemoryBytes >= 0 && u.Bytes+bytes > l.ModelMemoryBytes
}

func (s *shelf) ownLocked(t tenant.ID) ModelUse {
	var u ModelUse
	for _, r := range s.holders {
		if r.key.tenant == t {
			u.Models++
			u.Bytes += r.held
		}
	}
	return u
}

// own returns what the models of a tenant hold or have reserved.
func (s *shelf) own(t tenant.ID) ModelUse {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ownLocked(t)
}

// victimLocked returns the loaded model that was used longest ago, those that run nothing first; with own, of those of but's
// tenant.
func (s *shelf) victimLocked(but *resident, own bool) *resident {
	var victim *resident
	for _, r := range s.holders {
		if r == but || !r.loaded() || own && r.key.tenant != but.key.tenant {
			continue
		}
		if victim == nil || !r.busy() && victim.busy() || r.busy() == victim.busy() && r.used.Load() < victim.used.Load() {
			victim = r
		}
	}
	return victim
}

// settle replaces what was reserved for r by what it was seen to take. The budget may be exceeded by the difference until the next
// model is loaded, the tenant's limit until trim.
func (s *shelf) settle(r *resident, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += bytes - r.held
	r.held = bytes
}

// trim unloads models of r's tenant until it is within its memory again, after r was seen to take more than was reserved for it. r
// itself stays.
func (s *shelf) trim(r *resident) {
	limit := s.limits(r.key.tenant).ModelMemoryBytes
	for limit >= 0 {
		s.mu.Lock()
		over := s.ownLocked(r.key.tenant).Bytes > limit
		victim := s.victimLocked(r, true)
		s.mu.Unlock()
		if !over || victim == nil {
			return
		}
		victim.unload()
	}
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
