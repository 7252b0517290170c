package plan_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func drawModels(t *rapid.T) []plan.Model {
	models := make([]plan.Model, rapid.IntRange(0, 30).Draw(t, "models"))
	some := func(what string, most int) int { return max(0, rapid.IntRange(-most, most).Draw(t, what)) }
	for i := range models {
		models[i] = plan.Model{
			Key: fmt.Sprint(i), Label: fmt.Sprintf("m%d@1", i), Tenant: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"),
			Order:   uint64(rapid.IntRange(0, 40).Draw(t, "order")),
			Device:  rapid.SampledFrom([]string{"", "cpu", "cpu", "cuda:0", "cuda:1"}).Draw(t, "device"),
			Batched: rapid.Bool().Draw(t, "batched"),
			Declared: plan.Declared{
				Threads: some("threads", 100), Concurrency: some("runs", 100), Instances: some("instances", 40), MaxRows: some("rows", 64),
				Spin: rapid.Bool().Draw(t, "spin"),
			},
		}
		if rapid.Bool().Draw(t, "measured") {
			for _, threads := range []int{1, rapid.IntRange(2, 64).Draw(t, "measured threads")} {
				took := time.Duration(rapid.IntRange(1, 1e9).Draw(t, "took"))
				models[i].Measured.Threads = append(models[i].Measured.Threads, plan.ThreadsTook{Threads: threads, Took: took})
			}
			for rows := 1; rows < 1<<rapid.IntRange(0, 7).Draw(t, "measured rows"); rows *= 2 {
				took := time.Duration(rapid.IntRange(1, 1e9).Draw(t, "took"))
				models[i].Measured.Rows = append(models[i].Measured.Rows, plan.RowsTook{Rows: rows, Took: took})
			}
		}
	}
	return models
}

func drawMachine(t *rapid.T) plan.Machine {
	return plan.Machine{Cores: rapid.Float64Range(0.05, 64).Draw(t, "cores"), Source: "test"}
}

// Whatever models ask for: threads stay within the stated rule, shares are fair, each choice has a reason, and equal questions get
// equal plans.
func TestMake(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		machine, models := drawMachine(t), drawModels(t)
		p := plan.Make(machine, models)
		whole := max(1, int(machine.Cores+0.5))
		if got, most := p.Runs(), whole+max(whole, len(models))-1+plan.MostPassing; got > most {
			t.Errorf("%d runs at once on %d cores and %d models, want at most %d", got, whole, len(models), most)
		}
		if own := p.OwnThreads(); own > whole-1 {
			t.Errorf("models have %d threads of their own, want at most %d", own, whole-1)
		}
		if got, most := p.Threads(), whole+max(whole, len(models))-1+2*(whole-1)+plan.MostPassing*whole; got > most {
			t.Errorf("%d threads, want at most %d", got, most)
		}
		total, byTenant, count := 0.0, map[string]float64{}, 0
		for i := range p.Shares {
			s := &p.Shares[i]
			checkShare(t, s, whole)
			if s.Device == plan.CPU {
				total += s.Cores
				byTenant[s.Tenant] += s.Cores
				count++
			}
		}
		if count > 0 && (total < machine.Cores*0.999 || total > machine.Cores*1.001) {
			t.Errorf("shares of %v cores are %v together", machine.Cores, total)
		}
		for tenant, got := range byTenant {
			if want := machine.Cores / float64(len(byTenant)); got < want*0.999 || got > want*1.001 {
				t.Errorf("tenant %s has %v cores, want %v", tenant, got, want)
			}
		}
		rand.Shuffle(len(models), func(i, j int) { models[i], models[j] = models[j], models[i] })
		if diff := cmp.Diff(p, plan.Make(machine, models)); diff != "" {
			t.Errorf("the order of the models changes the plan (-want +got):\n%s", diff)
		}
	})
}

func checkShare(t *rapid.T, s *plan.Share, whole int) {
	why := reflect.ValueOf(s.Why)
	for i := range why.NumField() {
		if why.Field(i).String() == "" {
			t.Errorf("%s: no reason for %s", s.Label, why.Type().Field(i).Name)
		}
	}
	switch {
	case s.Threads < 1 || s.Threads > whole, s.Guaranteed < 1, s.Concurrency < s.Guaranteed, s.Instances < 1, s.Instances > plan.MaxInstances,
		s.MaxRows < 1, s.Device == plan.CPU && s.Concurrency > whole, s.Spin && !s.OwnPool, s.OwnPool && s.Threads == 1:
		t.Errorf("on %d cores got %+v", whole, *s)
	}
	if s.Guaranteed > 1 && s.Device == plan.CPU && float64(s.Guaranteed*s.Threads) > s.Cores+1e-6 {
		t.Errorf("%s is guaranteed %d runs of %d threads of %v cores", s.Label, s.Guaranteed, s.Threads, s.Cores)
	}
}

// Runs at once, and the threads that work for them, do not grow with the number of tenants.
func TestTenantsDoNotAddUp(t *testing.T) {
	t.Parallel()
	var models []plan.Model
	var runs, threads []int
	for i := range 40 {
		models = append(models, plan.Model{Key: fmt.Sprint(i), Tenant: fmt.Sprint(i), Order: uint64(i)})
		p := plan.Make(plan.Machine{Cores: 4}, models)
		runs, threads = append(runs, p.Runs()), append(threads, p.Threads())
	}
	// One: a run of four threads and another. More: five places, in each a run at most, and three runs that pass.
	if runs[0] != 4 || runs[1] != 8 || runs[39] != 8 {
		t.Errorf("got %v runs at once with 1, 2 and so on tenants", runs)
	}
	if threads[1] != threads[39] {
		t.Errorf("got %v threads with 1, 2 and so on tenants", threads)
	}
}

// A model that comes takes nothing from those that are there but a part of their fair share, and costs one run's thread.
func TestOneMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		machine, models := drawMachine(t), drawModels(t)
		before := plan.Make(machine, models)
		more := plan.Model{Key: "more", Tenant: "a", Order: 1000, Declared: plan.Declared{Threads: 64, Concurrency: 64, Spin: true}}
		after := plan.Make(machine, append(models, more))
		whole := max(1, int(machine.Cores+0.5))
		passing := plan.MostPassing * whole // when it is the second tenant's, or the first of so many threads
		if n := after.Threads() - before.Threads(); len(models) >= whole && n > 1+whole-1-before.OwnThreads()+passing {
			t.Errorf("one more model brings %d more threads", n)
		}
		for i := range before.Shares {
			was, is := before.Shares[i], after.Shares[i]
			if was.Threads != is.Threads || was.OwnPool != is.OwnPool || was.Concurrency != is.Concurrency || was.MaxRows != is.MaxRows {
				t.Errorf("was %+v, is %+v", was, is)
			}
		}
	})
}

func TestChoices(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	threads := func(one, all time.Duration) plan.Measured {
		return plan.Measured{Threads: []plan.ThreadsTook{{Threads: 1, Took: one}, {Threads: 4, Took: all}}}
	}
	rows := func(took ...time.Duration) plan.Measured {
		m := plan.Measured{}
		for i, d := range took {
			m.Rows = append(m.Rows, plan.RowsTook{Rows: 1 << i, Took: d})
		}
		return m
	}
	for _, test := range []struct {
		name  string
		model plan.Model
		want  string
	}{
		{"nothing known", plan.Model{}, "threads 4 (not measured: the pool of all models), runs 1 to 2, rows 1"},
		{"gains", plan.Model{Measured: threads(40*ms, 12*ms)}, "threads 4 (measured 40ms with 1 thread, 12ms with 4), runs 1 to 2, rows 1"},
		{"gains too little", plan.Model{Measured: threads(40*ms, 20*ms)}, "threads 1 (measured 40ms with 1 thread, 20ms with 4: more runs at once do more), runs 4 to 4, rows 1"},
		{"declared one", plan.Model{Declared: plan.Declared{Threads: 1, Concurrency: 2}}, "threads 1 (declared), runs 2 to 2, rows 1"},
		{"declared two", plan.Model{Declared: plan.Declared{Threads: 2}}, "threads 2 (declared, of its own), runs 2 to 3, rows 1"},
		{"declared many", plan.Model{Declared: plan.Declared{Threads: 9}}, "threads 4 (declared 9, there are 4 cores; the pool of all models has them), runs 1 to 2, rows 1"},
		{"batched", plan.Model{Batched: true, Declared: plan.Declared{Threads: 1}}, "threads 1 (declared), runs 4 to 4, rows 32"},
		{"rows that cost the same", plan.Model{Batched: true, Measured: rows(ms, 2*ms, 4*ms)}, "threads 4 (not measured: the pool of all models), runs 1 to 2, rows 32"},
		{"rows that get slow", plan.Model{Batched: true, Measured: rows(ms, 1100*time.Microsecond, 2*ms, 12*ms)}, "threads 4 (not measured: the pool of all models), runs 1 to 2, rows 4"},
		{"declared rows", plan.Model{Batched: true, Measured: rows(ms, 8*ms), Declared: plan.Declared{MaxRows: 7}}, "threads 4 (not measured: the pool of all models), runs 1 to 2, rows 7"},
		{"a device", plan.Model{Device: "cuda:0", Batched: true}, "threads 1 (its work is done by cuda:0), runs 1 to 2, rows 32"},
	} {
		s := plan.Make(plan.Machine{Cores: 4}, []plan.Model{test.model}).Shares[0]
		got := fmt.Sprintf("threads %d (%s), runs %d to %d, rows %d", s.Threads, s.Why.Threads, s.Guaranteed, s.Concurrency, s.MaxRows)
		if got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

// Threads that models have for themselves run out; who comes later uses the pool. Spinning is for those who are alone.
func TestOwnThreadsRunOut(t *testing.T) {
	t.Parallel()
	ask := plan.Declared{Threads: 3, Concurrency: 1, Spin: true}
	one := plan.Make(plan.Machine{Cores: 4}, []plan.Model{{Key: "a", Declared: ask}})
	if s := one.Shares[0]; !s.Spin || !s.OwnPool {
		t.Errorf("alone: %+v", s)
	}
	two := plan.Make(plan.Machine{Cores: 4}, []plan.Model{{Key: "a", Declared: ask}, {Key: "b", Order: 1, Declared: ask}})
	a, b := two.Shares[0], two.Shares[1]
	if !a.OwnPool || a.Spin || b.OwnPool || b.Threads != 4 {
		t.Errorf("got %+v and %+v", a, b)
	}
	if want := "declared 3, but other models have 2 of their own: it uses the pool of all models"; b.Why.Threads != want {
		t.Errorf("got %q, want %q", b.Why.Threads, want)
	}
}
