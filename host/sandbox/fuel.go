package sandbox

import (
	"context"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Names that the rewriter gives to the host's own imports and exports.
const (
	yieldModule  = "__tandem"
	yieldName    = "yield"
	fuelGlobal   = "__tandem_fuel"
	globalPrefix = "__tandem_g"
	startExport  = "__tandem_start"
)

// hostCallFuel is the fuel of a host call, beside a unit for every 16 bytes.
const hostCallFuel = 500

// startSlice grants the first slice of a call.
func (in *instance) startSlice(now time.Time) {
	s := in.state
	s.sliceAt = now
	s.slice = nextSlice(s)
	in.fuel.Set(s.slice)
}

func nextSlice(s *callState) uint64 {
	if s.maxFuel > 0 {
		return min(quantum, s.maxFuel-min(s.used, s.maxFuel))
	}
	return quantum
}

// endSlice adds what the guest used of its slice to the account.
func (in *instance) endSlice() {
	s := in.state
	left := int64(in.fuel.Get())
	s.used += uint64(max(int64(s.slice)-left, 0))
	s.slice = 0
	in.fuel.Set(0)
}

// yield is called by the guest whenever its slice is used up.
func yield(ctx context.Context, mod api.Module, _ []uint64) {
	in := instanceOf(ctx)
	if in.fuel == nil { // a start section runs before the instance is complete
		in.fuel, _ = mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
	}
	in.endSlice()
	s := in.state
	now := time.Now()
	s.checkEnd(ctx, now)
	if now.Sub(s.sliceAt) >= gosched {
		if err := s.tellFuel(); err != nil {
			s.stop(KindQuota, "the tenant used its fuel", err)
		}
		runtime.Gosched()
		now = time.Now()
		s.checkEnd(ctx, now)
		s.sliceAt = now
	}
	s.slice = nextSlice(s)
	in.fuel.Set(s.slice)
}

// charge takes the fuel of a host call that touches n bytes. The guest's next own charge notices when it is gone.
func (in *instance) charge(n uint64) {
	if in.fuel != nil {
		in.fuel.Set(in.fuel.Get() - hostCallFuel - n/16)
	}
}
