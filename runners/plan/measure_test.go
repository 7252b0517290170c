package plan_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/plan"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// taking returns a model whose runs take these times, again and again.
func taking(times ...time.Duration) *fake.Runner {
	s := fake.AddSub()
	n := 0
	s.Takes = func([]runners.Tensor) time.Duration {
		n++
		return times[(n-1)%len(times)]
	}
	return fake.New(s)
}

// What threads bring is judged by pairs of runs: what the machine does beside hits both, and a gain that is not there in three
// quarters of the pairs is none.
func TestCompare(t *testing.T) {
	const ms = time.Millisecond
	steady := []time.Duration{40 * ms}
	for _, c := range []struct {
		name    string
		one     []time.Duration
		four    []time.Duration
		threads int
		busy    bool
	}{
		{"gains", steady, []time.Duration{10 * ms}, 4, false},
		{"gains nothing", steady, steady, 1, false},
		{"half of the pairs gain", []time.Duration{40 * ms, 40 * ms, 12 * ms, 12 * ms}, []time.Duration{10 * ms}, 1, true},
		{"busy, and gains all the same", []time.Duration{80 * ms, 40 * ms, 90 * ms}, []time.Duration{10 * ms, 9 * ms}, 4, true},
		{"one bad pair", steady, []time.Duration{10 * ms, 10 * ms, 10 * ms, 50 * ms, 10 * ms, 10 * ms, 10 * ms}, 4, false},
		{"too short to tell", []time.Duration{80 * time.Microsecond}, []time.Duration{10 * time.Microsecond}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := []runners.Tensor{runnertest.FP32([]int64{1, 3}, 1, 2, 3), runnertest.FP32([]int64{1, 3}, 4, 5, 6)}
				m, err := plan.Compare(t.Context(), taking(c.one...), taking(c.four...), 4, in)
				if err != nil {
					t.Fatal(err)
				}
				p := plan.Make(plan.Machine{Cores: 4}, []plan.Model{{Key: "m", Measured: m}})
				if got := p.Shares[0]; got.Threads != c.threads || m.Busy != c.busy || m.Pairs < 5 || m.Pairs > 15 {
					t.Errorf("got %d threads (%s), %+v", got.Threads, got.Why.Threads, m)
				}
			})
		})
	}
}

// What was measured on a busy machine is measured again later, ever more seldom while it stays busy.
func TestStale(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for _, c := range []struct {
		m     plan.Measured
		after time.Duration
		want  bool
	}{
		{plan.Measured{At: at}, 1000 * time.Hour, false},
		{plan.Measured{At: at, Busy: true, Tries: 1}, 9 * time.Minute, false},
		{plan.Measured{At: at, Busy: true, Tries: 1}, 10 * time.Minute, true},
		{plan.Measured{At: at, Busy: true, Tries: 3}, 39 * time.Minute, false},
		{plan.Measured{At: at, Busy: true, Tries: 3}, 40 * time.Minute, true},
		{plan.Measured{At: at, Busy: true, Tries: 1 << 20}, 1000 * time.Hour, true},
	} {
		if got := c.m.Stale(at.Add(c.after)); got != c.want {
			t.Errorf("%+v after %v: got %v", c.m, c.after, got)
		}
	}
}
