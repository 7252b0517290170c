package sandbox

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-serve/tandem/host/background"
)

// The clock of a guest does not tell since when other tenants have the same module.
func TestClocksTellNothingOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurns(1, (*background.Scheduler)(nil))
		shared := &program{born: time.Now()}
		guest := func(tenant string) *instance {
			return &instance{prog: shared, state: &callState{turn: turn{account: s.account(tenant)}}}
		}
		a := guest("a")
		time.Sleep(time.Hour)
		if got := time.Duration(a.monotonic()); got != time.Hour+clockStep {
			t.Errorf("an hour after it began its clock shows %v", got)
		}
		if got := time.Duration(guest("b").monotonic()); got != clockStep {
			t.Errorf("a clock that has just begun shows %v, want %v", got, clockStep)
		}
	})
}
