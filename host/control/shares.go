package control

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners/plan"
)

// shares keeps the resource plan and applies it to the models that are loaded.
type shares struct {
	gate *plan.Gate

	mu     sync.Mutex // mu guards the following, and is held while models are told, so that they are told in order
	models map[*resident]plan.Model
	order  uint64
	now    plan.Plan
	why    remade
}

// remade says why the plan was made again last.
type remade struct {
	tenant tenant.ID // whose model it was for; "" nobody's
	model  string    // as name@version
	what   string
	at     time.Time
}

// text says it.
func (r remade) text() string { return strings.TrimSpace(r.model + " " + r.what) }

func newShares(machine plan.Machine, behind func(tenant string) bool) *shares {
	if machine.Cores <= 0 {
		n := runtime.GOMAXPROCS(0)
		machine = plan.Machine{Cores: float64(n), Source: fmt.Sprintf("GOMAXPROCS is %d", n)}
	}
	s := &shares{
		gate: &plan.Gate{Behind: behind}, models: map[*resident]plan.Model{}, now: plan.Plan{Machine: machine},
		why: remade{what: "nothing was loaded yet", at: time.Now()},
	}
	s.gate.Set(machine)
	return s
}

// machine returns what there is to share out.
func (s *shares) machine() plan.Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Machine
}

// put takes a model into the plan, or what is known of it now, makes the plan again and returns the model's share.
func (s *shares) put(r *resident, m plan.Model) plan.Share {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.models[r]; ok {
		m.Order = old.Order
	} else {
		s.order++
		m.Order = s.order
	}
	m.Key = fmt.Sprintf("%s %s %d", m.Tenant, m.Label, m.Order)
	s.models[r] = m
	s.remakeLocked(remade{r.key.tenant, m.Label, "was loaded", time.Now()})
	return s.ofLocked(r)
}

// tell has a model keep to its share, as it is now.
func (s *shares) tell(r *resident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.models[r]; ok {
		r.apply(s.ofLocked(r))
	}
}

// remove takes a model out and makes the plan again.
func (s *shares) remove(r *resident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.models[r]
	if !ok {
		return
	}
	delete(s.models, r)
	s.remakeLocked(remade{r.key.tenant, m.Label, "was unloaded", time.Now()})
}

func (s *shares) remakeLocked(why remade) {
	models := make([]plan.Model, 0, len(s.models))
	for _, m := range s.models {
		models = append(models, m)
	}
	s.now = plan.Make(s.now.Machine, models)
	s.why = why
	for r := range s.models {
		r.apply(s.ofLocked(r))
	}
}

// of returns a model's share, nil while it is not in the plan.
func (s *shares) of(r *resident) *plan.Share {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.models[r]; !ok {
		return nil
	}
	share := s.ofLocked(r)
	return &share
}

// plan returns the plan and why it was made.
func (s *shares) plan() (plan.Plan, remade) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.why
}

func (s *shares) ofLocked(r *resident) plan.Share {
	key := s.models[r].Key
	i := slices.IndexFunc(s.now.Shares, func(sh plan.Share) bool { return sh.Key == key })
	return s.now.Shares[i]
}
