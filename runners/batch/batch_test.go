package batch_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]batch.Config{
		"default":    {},
		"three rows": {MaxRows: 3},
		"one row":    {MaxRows: 1},
		"two runs":   {Concurrency: 2},
		"delay":      {MaxDelay: time.Millisecond, MaxRows: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			maker := func(s fake.Script) func(*testing.T) runners.Runner {
				return func(t *testing.T) runners.Runner {
					t.Helper()
					inner := fake.New(s)
					t.Cleanup(func() {
						if n := inner.Lent(); n != 0 {
							t.Errorf("%d outputs were not released", n)
						}
					})
					return batch.New(inner, config)
				}
			}
			runnertest.Test(t, runnertest.Makers{
				AddSub:   maker(fake.AddSub()),
				Echo:     func(t *testing.T, d runners.DType) runners.Runner { t.Helper(); return maker(fake.Echo(d))(t) },
				Slow:     maker(fake.Slow()),
				Document: maker(fake.Document()),
				Broken:   maker(fake.Broken()),
			})
		})
	}
}
