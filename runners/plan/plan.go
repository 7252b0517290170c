// Package plan shares the cores and accelerators of the machine out between the models that a process has loaded.
//
// [Make] is pure: no clock, no I/O. It decides from what owners declare, else from what [Measure] saw in a short warm-up, and says
// why of every choice. [Cores] reads what the process may use, cgroup quotas included. A [Gate] applies the plan while models run.
//
// The rule for the models of a tenant that is alone: every model may have one run at any time, so that none waits for another, and as
// many as its fair share of the cores holds; beyond that a run begins only while fewer runs go on than there are cores. All its models
// use the threads of one pool, as many as there are cores less one; models may have threads of their own as long as those of all
// together are not more than that. A run that goes on is not ended for another model's first. So N models on C cores never have more
// than C + max(C, N) - 1 runs and 2(C-1) further threads, whatever they ask for. When several tenants want the cores their runs take
// turns, and few go on at once however many tenants there are: see [Gate].
//
// The package starts no goroutines but those of a measurement, which end with it. One lock, of the Gate; nobody is called with it
// held.
package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Machine is what there is to share out.
type Machine struct {
	// Cores is how many the process may use; a cgroup's quota need not be whole. At least a bit.
	Cores float64
	// Source says what set Cores.
	Source string
}

// Whole returns the cores as a number of threads: a quota of 1.5 cores is 2, of 1.4 is 1.
func (m Machine) Whole() int { return max(1, int(math.Round(m.Cores))) }

// CPU is the device of models that run on cores.
const CPU = "cpu"

// Declared is what a model's owner asks for. Zero means that the plan chooses.
type Declared struct {
	// Threads work on one operator, the caller's own counted.
	Threads int
	// Concurrency is how many runs may go on at once.
	Concurrency int
	// Instances is how many times the model is loaded.
	Instances int
	// MaxRows is the most rows of one run.
	MaxRows int
	// Spin lets the model's own threads wait actively. It is granted only while they fit beside everything else.
	Spin bool
}

// Model is one that takes part.
type Model struct {
	// Key tells it apart; no two are equal.
	Key    string
	Tenant string
	Label  string
	// Order is when it came: a later one does not take away what an earlier one has been given for as long as it is loaded.
	Order uint64
	// Device is where it runs: CPU, or an accelerator such as "cuda:0". Default CPU.
	Device string
	// Batched tells whether requests share runs.
	Batched  bool
	Declared Declared
	Measured Measured
}

// Share is what one model has.
type Share struct {
	Model
	// Cores is its fair share of the machine when all models are busy.
	Cores float64
	// Threads work on one operator, the caller's own counted. OwnPool tells whether they are its own; else, beyond the caller's,
	// they are those that all models share.
	Threads int
	OwnPool bool
	Spin    bool
	// Guaranteed is how many runs may go on at once whatever the others do; Concurrency how many when they leave cores free.
	Guaranteed  int
	Concurrency int
	Instances   int
	// MaxRows is the most rows of one run.
	MaxRows int
	// Why has a reason for each choice.
	Why Why
}

// Why says of each choice why it was made, for people.
type Why struct {
	Cores, Threads, Spin, Concurrency, Instances, MaxRows string
}

// Plan is what every model has.
type Plan struct {
	Machine Machine
	// Shares stand in the order in which the models came.
	Shares []Share
}

// Limits.
const (
	// DefaultMaxRows is the most rows of a run of which nothing is known.
	DefaultMaxRows = 32
	// MaxInstances bounds Declared.Instances.
	MaxInstances = 16
	// deviceRuns is how many runs go on at once on an accelerator: one is computed while another's data is on its way.
	deviceRuns = 2
	// worthwhile is what each further thread has to bring, in parts of a core, for a run to use it.
	worthwhile = 0.5
)

// Make shares the machine out between the models. Equal arguments give equal plans, whatever the order of the models.
func Make(machine Machine, models []Model) Plan {
	machine.Cores = max(machine.Cores, 0.01)
	models = slices.Clone(models)
	slices.SortFunc(models, func(a, b Model) int { return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Key, b.Key)) })
	tenants := map[string]int{}
	for i := range models {
		models[i].Device = cmp.Or(models[i].Device, CPU)
		if models[i].Device == CPU {
			tenants[models[i].Tenant]++
		}
	}
	p := Plan{Machine: machine, Shares: make([]Share, len(models))}
	own := 0 // threads that models have for themselves
	for i, m := range models {
		s := &p.Shares[i]
		s.Model = m
		s.share(machine, tenants)
		own += s.threads(machine.Whole(), own)
		s.runs(machine.Whole())
		s.rest()
	}
	p.spin()
	return p
}

// share sets the fair share.
func (s *Share) share(machine Machine, tenants map[string]int) {
	if s.Device != CPU {
		s.Why.Cores = "its work is done by " + s.Device
		return
	}
	mine := tenants[s.Tenant]
	s.Cores = machine.Cores / float64(len(tenants)) / float64(mine)
	s.Why.Cores = fmt.Sprintf("%s of %s", portion(len(tenants)*mine), cores(machine.Cores))
	if len(tenants) > 1 {
		s.Why.Cores = fmt.Sprintf("%s of %s: one of %s, one of %s of the tenant's", portion(len(tenants)*mine), cores(machine.Cores),
			plural(len(tenants), "tenant"), plural(mine, "model"))
	}
}

// threads sets the threads of a run and returns how many of them are the model's own. taken are already others' own.
func (s *Share) threads(whole, taken int) (own int) {
	s.Threads = 1
	switch {
	case s.Device != CPU:
		s.Why.Threads = "its work is done by " + s.Device
	case whole == 1:
		s.Why.Threads = "there is one core"
	case s.Declared.Threads == 1:
		s.Why.Threads = "declared"
	case s.Declared.Threads >= whole:
		s.Threads = whole
		s.Why.Threads = "declared; the pool of all models has them"
		if s.Declared.Threads > whole {
			s.Why.Threads = fmt.Sprintf("declared %d, there are %d cores; the pool of all models has them", s.Declared.Threads, whole)
		}
	case s.Declared.Threads > 1 && taken+s.Declared.Threads-1 <= whole-1:
		s.Threads, s.OwnPool = s.Declared.Threads, true
		s.Why.Threads = "declared, of its own"
		return s.Threads - 1
	case s.Declared.Threads > 1:
		s.Threads = whole
		s.Why.Threads = fmt.Sprintf("declared %d, but other models have %d of their own: it uses the pool of all models", s.Declared.Threads, taken)
	default:
		s.Threads, s.Why.Threads = s.Measured.threads(whole)
	}
	return 0
}

// tooShort is a run of which no measurement tells what threads bring.
const tooShort = 100 * time.Microsecond

// threads chooses by what was measured.
func (m Measured) threads(whole int) (threads int, why string) {
	one, all := m.at(1), m.at(whole)
	if one == 0 || all == 0 {
		return whole, "not measured: the pool of all models"
	}
	gain := float64(one)/float64(all) - 1
	why = fmt.Sprintf("measured %v with 1 thread, %v with %d", short(one), short(all), whole)
	if m.Pairs > 0 {
		gain = m.Gain
	}
	switch {
	case m.Pairs > 0 && one < tooShort:
		threads, why = 1, why+": too short to gain by threads"
	case gain >= worthwhile*float64(whole-1):
		threads = whole
	default:
		threads, why = 1, why+": more runs at once do more"
	}
	if m.Busy {
		why += " (the machine was busy: measured again later)"
	}
	return threads, why
}

// runs sets how many runs may go on at once.
func (s *Share) runs(whole int) {
	if s.Device != CPU {
		s.Concurrency, s.Guaranteed = deviceRuns, 1
		s.Why.Concurrency = "one is computed while the data of another is on its way"
		if s.Declared.Concurrency > 0 {
			s.Concurrency, s.Why.Concurrency = min(s.Declared.Concurrency, MaxInstances), "declared"
		}
		return
	}
	s.Concurrency = whole
	s.Why.Concurrency = fmt.Sprintf("one for each of %s while other models leave them free", plural(whole, "core"))
	if s.Threads > 1 {
		// One more than the cores hold, so that they do not idle between two runs.
		s.Concurrency = min(whole, whole/s.Threads+1)
		s.Why.Concurrency = fmt.Sprintf("runs of %d threads on %s, and one to follow", s.Threads, plural(whole, "core"))
	}
	switch n := s.Declared.Concurrency; {
	case n > whole:
		s.Concurrency, s.Why.Concurrency = whole, fmt.Sprintf("declared %d, there are %d cores", n, whole)
	case n > 0:
		s.Concurrency, s.Why.Concurrency = n, "declared"
	}
	s.Guaranteed = min(s.Concurrency, max(1, int(s.Cores/float64(s.Threads)+1e-9)))
}

// rest sets what depends on the model alone.
func (s *Share) rest() {
	s.Instances, s.Why.Instances = 1, "one takes several runs at once"
	if n := s.Declared.Instances; n > 0 {
		s.Instances, s.Why.Instances = min(n, MaxInstances), "declared"
	}
	switch {
	case !s.Batched:
		s.MaxRows, s.Why.MaxRows = 1, "requests do not share runs"
		if s.Declared.MaxRows > 0 {
			s.MaxRows = s.Declared.MaxRows
		}
	case s.Declared.MaxRows > 0:
		s.MaxRows, s.Why.MaxRows = s.Declared.MaxRows, "declared"
	default:
		s.MaxRows, s.Why.MaxRows = s.Measured.maxRows()
	}
}

// spin decides who may wait actively: only threads that nobody else could use.
func (p *Plan) spin() {
	busy := 0 // threads, when every model runs
	for i := range p.Shares {
		if s := &p.Shares[i]; s.Device == CPU {
			busy += s.Guaranteed * s.Threads
		}
	}
	for i := range p.Shares {
		s := &p.Shares[i]
		switch {
		case !s.OwnPool:
			s.Why.Spin = "it has no threads of its own"
		case !s.Declared.Spin:
			s.Why.Spin = "waiting threads leave the cores to others"
		case busy > p.Machine.Whole():
			s.Why.Spin = "declared, but other models need the cores"
		default:
			s.Spin, s.Why.Spin = true, "declared, and no other model needs the cores"
		}
	}
}

// Runs returns the most runs that go on at once on the cores. Of a tenant that is alone one model has all of them when the others come
// for what they are guaranteed; the runs of tenants that come then wait, but for those that pass.
func (p *Plan) Runs() int {
	alone, tenants := p.alone()
	if tenants > 1 {
		return max(alone+MostPassing, p.SharedRuns())
	}
	return alone
}

// SharedRuns returns the most runs that go on at once on the cores while several tenants call their models.
func (p *Plan) SharedRuns() int { return p.Machine.Whole() + toFollow + MostPassing }

// alone returns the most runs of one tenant while no other wants any, and how many tenants have models on the cores.
func (p *Plan) alone() (runs, tenants int) {
	guaranteed := map[string][]int{}
	for i := range p.Shares {
		if s := &p.Shares[i]; s.Device == CPU {
			guaranteed[s.Tenant] = append(guaranteed[s.Tenant], s.Guaranteed)
		}
	}
	for _, each := range guaranteed {
		n := p.Machine.Whole() - slices.Min(each)
		for _, g := range each {
			n += g
		}
		runs = max(runs, n)
	}
	return runs, len(guaranteed)
}

// PoolThreads returns the threads of the pool that all models share, the callers' own not counted.
func (p *Plan) PoolThreads() int { return p.Machine.Whole() - 1 }

// OwnThreads returns the threads that models have for themselves, the callers' own not counted.
func (p *Plan) OwnThreads() int {
	n := 0
	for i := range p.Shares {
		if p.Shares[i].OwnPool {
			n += p.Shares[i].Threads - 1
		}
	}
	return n
}

// Threads returns the most threads that work for models at once. Those of a pool that no run uses are not counted: each tenant's
// worker has one.
func (p *Plan) Threads() int {
	alone, tenants := p.alone()
	most := alone + p.PoolThreads() + p.OwnThreads()
	if tenants < 2 {
		return most
	}
	widest := 1
	for i := range p.Shares {
		if s := &p.Shares[i]; s.Device == CPU {
			widest = max(widest, s.Threads)
		}
	}
	return max(most, p.Machine.Whole()+toFollow-1+widest) + MostPassing*widest
}

func portion(n int) string {
	if n == 1 {
		return "all"
	}
	return fmt.Sprintf("1/%d", n)
}

func cores(n float64) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%.4g cores", n)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// short rounds a time for people.
func short(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d >= 100*time.Microsecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(100 * time.Nanosecond)
}
