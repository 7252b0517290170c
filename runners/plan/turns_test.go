package plan_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners/plan"
)

// line is a model whose callers wait for runs in the order in which they came.
type line struct {
	seat  *plan.Seat
	takes time.Duration
	done  atomic.Int64
	late  atomic.Int64 // the longest that one waited, in nanoseconds

	mu      sync.Mutex
	waiting []chan struct{}
}

// newLine returns a model that was measured to take so long.
func newLine(gate *plan.Gate, tenant string, threads int, takes time.Duration) *line {
	l := &line{takes: takes}
	l.seat = gate.Seat(plan.CPU, tenant, func() { l.wake() })
	measured := plan.Measured{Threads: []plan.ThreadsTook{{Threads: threads, Took: takes}}}
	l.seat.Keep(&plan.Share{Guaranteed: 1, Threads: threads, Model: plan.Model{Measured: measured}})
	return l
}

func (l *line) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 && l.seat.Take() {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
	}
}

// run waits for a run and has it.
func (l *line) run() {
	came := time.Now()
	ready := make(chan struct{})
	l.mu.Lock()
	l.waiting = append(l.waiting, ready)
	l.mu.Unlock()
	l.wake()
	<-ready
	l.late.Store(max(l.late.Load(), int64(time.Since(came))))
	time.Sleep(l.takes)
	l.done.Add(1)
	l.seat.Give()
	l.wake()
}

// callers call until the time is up, with a pause after each call.
func (l *line) callers(all *sync.WaitGroup, n int, pause, until time.Duration) {
	end := time.Now().Add(until)
	for range n {
		all.Go(func() {
			for time.Now().Before(end) {
				l.run()
				time.Sleep(pause)
			}
		})
	}
}

func newGate(cores int) *plan.Gate {
	gate := &plan.Gate{}
	gate.Set(plan.Machine{Cores: float64(cores)})
	return gate
}

// watch returns the most runs that went on at once.
func watch(gate *plan.Gate, until time.Duration) int {
	most := 0
	for end := time.Now().Add(until); time.Now().Before(end); time.Sleep(time.Millisecond / 4) {
		most = max(most, gate.Running(plan.CPU))
	}
	return most
}

// Tenants that are busy at the same time have no more runs than there are cores and one to follow, and equal shares of the time, however
// many callers and models they have and however long their runs are.
func TestTenantsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cores, long = 2, 20 * time.Second
		gate := newGate(cores)
		var all sync.WaitGroup
		one, slow := newLine(gate, "one", 1, 10*time.Millisecond), newLine(gate, "slow", 1, 40*time.Millisecond)
		crowd, second := newLine(gate, "crowd", 1, 10*time.Millisecond), newLine(gate, "crowd", 1, 10*time.Millisecond)
		one.callers(&all, 2, 0, long)
		crowd.callers(&all, 20, 0, long)
		second.callers(&all, 20, 0, long)
		slow.callers(&all, 2, 0, long)
		if most := watch(gate, long); most != cores+1 {
			t.Errorf("%d runs at once on %d cores, want one more", most, cores)
		}
		all.Wait()
		whole := float64((cores + 1) * long)
		for name, used := range map[string]time.Duration{
			"one":   time.Duration(one.done.Load()) * 10 * time.Millisecond,
			"crowd": time.Duration(crowd.done.Load()+second.done.Load()) * 10 * time.Millisecond,
			"slow":  time.Duration(slow.done.Load()) * 40 * time.Millisecond,
		} {
			if share := float64(used) / whole; share < 0.32 || share > 0.35 {
				t.Errorf("%s had %.3f of the time, want a third", name, share)
			}
		}
		if a, b := crowd.done.Load(), second.done.Load(); a < b*9/10 || b < a*9/10 {
			t.Errorf("two models of one tenant had %d and %d runs", a, b)
		}
	})
}

// A run takes as many places as it has threads.
func TestThreadsTakePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cores, long = 4, 2 * time.Second
		gate := newGate(cores)
		var all sync.WaitGroup
		for i := range 4 {
			newLine(gate, fmt.Sprint(i), cores, 10*time.Millisecond).callers(&all, 2, 0, long)
		}
		if most := watch(gate, long); most != 2 {
			t.Errorf("%d runs at once of %d threads each on as many cores, want one and one to follow", most, cores)
		}
		all.Wait()
	})
}

// A tenant that is alone has what the plan gives it, and what others leave: nothing waits while there is room.
func TestAloneTenantHasTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate(2)
		var all sync.WaitGroup
		for range 5 {
			newLine(gate, "ada", 2, 10*time.Millisecond).callers(&all, 2, 0, time.Second)
		}
		if most := watch(gate, time.Second); most < 5 {
			t.Errorf("%d runs at once of five models that are guaranteed one each", most)
		}
		all.Wait()
	})
}

// What is much shorter than all that runs does not wait for it; there are three such at most, and what is long gets its turn.
func TestShortRunsPassLongOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cores, long = 2, 30 * time.Second
		gate := newGate(cores)
		var all sync.WaitGroup
		lines := map[string]*line{}
		for name, takes := range map[string]time.Duration{
			"a": 1500 * time.Millisecond, "b": 1500 * time.Millisecond, "c": 1500 * time.Millisecond, "d": 1500 * time.Millisecond,
			"medium": 150 * time.Millisecond, "short": 15 * time.Millisecond, "tiny": 100 * time.Microsecond,
		} {
			l := newLine(gate, name, 1, takes)
			lines[name] = l
			l.callers(&all, 1, takes, long)
		}
		most := watch(gate, long)
		all.Wait()
		if most > cores+1+plan.MostPassing || most < cores+2 {
			t.Errorf("%d runs at once, want %d and up to %d that pass", most, cores+1, plan.MostPassing)
		}
		for name, bound := range map[string]time.Duration{"medium": 160 * time.Millisecond, "short": 160 * time.Millisecond, "tiny": 16 * time.Millisecond} {
			if late := time.Duration(lines[name].late.Load()); late > bound {
				t.Errorf("%s waited %v", name, late)
			}
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			if n := lines[name].done.Load(); n < 6 {
				t.Errorf("%s had %d runs", name, n)
			}
		}
	})
}

// What a tenant did not want is not owed to it, also when it always wanted a little.
func TestTenantsSaveNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const before, after = 20 * time.Second, 2 * time.Second
		gate := newGate(4)
		var all sync.WaitGroup
		heavy, more := newLine(gate, "heavy", 1, 10*time.Millisecond), newLine(gate, "light", 1, 10*time.Millisecond)
		heavy.callers(&all, 20, 0, before+after)
		for _, takes := range []time.Duration{11 * time.Millisecond, 7 * time.Millisecond} { // so that one goes on at any moment
			newLine(gate, "light", 1, takes).callers(&all, 1, 0, before)
		}
		time.Sleep(before)
		more.callers(&all, 20, 0, after)
		had := heavy.done.Load()
		time.Sleep(after - 100*time.Millisecond)
		used := time.Duration(heavy.done.Load()-had) * 10 * time.Millisecond
		if share := used.Seconds() / (5 * (after - 100*time.Millisecond)).Seconds(); share < 0.46 || share > 0.54 {
			t.Errorf("the other one had %.3f of the places when it came with more, want a half", share)
		}
		all.Wait()
	})
}

// Who goes past others uses more than those who wait: a tenant that comes from doing nothing starts with these, not with it.
func TestWhoComesStartsWithThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const before, long = 60 * time.Second, time.Second
		gate := newGate(2)
		var all sync.WaitGroup
		for i := range 4 {
			newLine(gate, fmt.Sprint("slow", i), 1, long).callers(&all, 3, 0, before+20*time.Second)
		}
		tiny := newLine(gate, "tiny", 1, 5*time.Millisecond)
		tiny.callers(&all, 1, 0, before+20*time.Second)
		time.Sleep(before)
		late := newLine(gate, "late", 1, long)
		late.callers(&all, 1, 0, 15*time.Second)
		all.Wait()
		if n, most := late.done.Load(), time.Duration(late.late.Load()); n < 7 || most > 4*long {
			t.Errorf("who came late had %d runs in 15 s and waited %v for one", n, most)
		}
		if n := tiny.done.Load(); n < 10_000 {
			t.Errorf("the short runs were held up: %d", n)
		}
	})
}

// Whatever tenants did before, little or much or nothing, when all want everything each has an equal share from then on, but for the
// runs that others had begun, one for each place, and what may be owed: less than 5 % of the share over this window in 6,000
// draws, the most by a tenant of short runs beside one of long ones.
func TestTenantsComeToEqualShares(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const before, window = 2 * time.Second, 4 * time.Second
		cores := rapid.IntRange(1, 4).Draw(rt, "cores")
		takes := rapid.SliceOfN(rapid.IntRange(5, 40), 2, 4).Draw(rt, "takes")
		callers := rapid.SliceOfN(rapid.IntRange(0, 4), len(takes), len(takes)).Draw(rt, "callers")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 30), len(takes), len(takes)).Draw(rt, "pauses")
		synctest.Test(t, func(t *testing.T) {
			gate := newGate(cores)
			var all sync.WaitGroup
			lines := make([]*line, len(takes))
			for i, ms := range takes {
				lines[i] = newLine(gate, fmt.Sprint(i), 1, time.Duration(ms)*time.Millisecond)
				lines[i].callers(&all, callers[i], time.Duration(pauses[i])*time.Millisecond, before)
			}
			time.Sleep(before)
			had := make([]int64, len(takes))
			for i, l := range lines {
				l.callers(&all, 2*(cores+1), 0, window)
				had[i] = l.done.Load()
			}
			time.Sleep(window - time.Millisecond)
			want := window * time.Duration(cores+1) / time.Duration(len(takes))
			for i, l := range lines {
				got := time.Duration(l.done.Load()-had[i]) * l.takes
				if lost := want - got; lost > want/20+time.Duration(cores+3)*40*time.Millisecond {
					t.Errorf("on %d cores, runs of %v ms, after %v callers with pauses of %v ms: tenant %d had %v, want %v", cores, takes, callers, pauses, i, got, want)
				}
			}
			all.Wait()
		})
	})
}

// Whatever comes and goes, there are never more runs than the plan says, and nobody waits while a core is free.
func TestGateOfSeveralTenants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		machine := plan.Machine{Cores: float64(rapid.IntRange(1, 5).Draw(t, "cores"))}
		gate := &plan.Gate{}
		gate.Set(machine)
		clients := make([]*client, rapid.IntRange(1, 6).Draw(t, "models"))
		models := make([]plan.Model, len(clients))
		for i := range clients {
			c := &client{}
			clients[i] = c
			models[i] = plan.Model{Key: fmt.Sprint(i), Order: uint64(i), Tenant: fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "tenant")), Declared: plan.Declared{Threads: 1}}
			c.seat = gate.Seat(plan.CPU, models[i].Tenant, c.wake)
		}
		made := plan.Make(machine, models)
		for i := range clients {
			clients[i].seat.Keep(&made.Shares[i])
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			c := clients[rapid.IntRange(0, len(clients)-1).Draw(t, "model")]
			c.step(t)
			running, wants := 0, 0
			for _, c := range clients {
				running += c.running
				wants += c.wants
			}
			if running > made.Runs() {
				t.Fatalf("%d runs, the plan has %d at most", running, made.Runs())
			}
			if wants > 0 && running < machine.Whole() {
				t.Fatalf("%d wait while %d of %d cores are used", wants, running, machine.Whole())
			}
		}
		for _, c := range clients {
			c.wants = 0
			for ; c.running > 0; c.running-- {
				c.seat.Give()
			}
			c.seat.Close()
		}
		if n := gate.Running(plan.CPU); n != 0 {
			t.Fatalf("%d runs are left", n)
		}
	})
}

// While a tenant is behind, its runs do not keep those of others from the cores, however long they are.
func TestRunsGoAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cores, long = 2, 5 * time.Second
		for _, behind := range []bool{false, true} {
			gate := &plan.Gate{Behind: func(tenant string) bool { return behind && tenant == "busy" }}
			gate.Set(plan.Machine{Cores: cores})
			var all sync.WaitGroup
			busy, other := newLine(gate, "busy", 1, 10*time.Millisecond), newLine(gate, "other", 1, 5*time.Millisecond)
			busy.callers(&all, 8, 0, long)
			other.callers(&all, 1, 20*time.Millisecond, long)
			most := watch(gate, long)
			all.Wait()
			late := time.Duration(other.late.Load())
			if behind && late > 0 {
				t.Errorf("a run of a tenant that is not behind waited for %v", late)
			}
			if !behind && late == 0 {
				t.Error("no run ever waited: the test shows nothing")
			}
			if limit := cores + 2; most > limit {
				t.Errorf("%d runs went on at once, want at most %d", most, limit)
			}
		}
	})
}

// Runs on an accelerator are not the system's to schedule: there a tenant that is behind holds its place like others.
func TestNobodyGoesAheadOnAccelerators(t *testing.T) {
	gate := &plan.Gate{Behind: func(tenant string) bool { return tenant == "busy" }}
	busy, other := gate.Seat("cuda", "busy", func() {}), gate.Seat("cuda", "other", func() {})
	first := 0
	for other.Take() {
		other.Give()
		if !busy.Take() {
			break
		}
		first++
	}
	if first == 0 || first > 100 {
		t.Errorf("%d runs of the busy tenant began before the other found no room", first)
	}
}
