package sandbox

import (
	"context"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Names that the rewriter gives to the host's own imports and exports.
const (
	yieldModule  = "__tandem"
	yieldName    = "yield"
	fuelGlobal   = "__tandem_fuel"
	stopGlobal   = "__tandem_stop"
	globalPrefix = "__tandem_g"
	startExport  = "__tandem_start"
)

// Fuel of a host call. A unit is some 0.15 ns, so that these follow what the calls take: 70 ns for the call itself, 10 GB/s
// for memory that is copied or looked at, 2 GB/s for random bytes, 200 MB/s for JSON that is checked.
const (
	hostCallFuel = 500
	bytesPerUnit = 2
	randomFuel   = 4  // a byte
	jsonFuel     = 30 // a byte
)

// startSlice grants the first slice of a call.
func (in *instance) startSlice(now time.Time) {
	s := in.state
	s.sliceAt = now
	in.grant(now)
}

// grant begins a slice.
func (in *instance) grant(now time.Time) {
	s := in.state
	s.slice, s.grantAt = in.nextSlice(), now
	in.fuel.Set(s.slice)
	s.host.watch.begin(&in.watched, now)
}

// meter finds the globals of metering and has the instance watched. in.fuel stays nil when one is missing.
func (in *instance) meter() {
	stop, _ := in.mod.ExportedGlobal(stopGlobal).(api.MutableGlobal)
	if stop == nil {
		return
	}
	in.fuel, _ = in.mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
	in.watched.stop = stop
	in.prog.host.watch.add(&in.watched)
}

func (in *instance) nextSlice() uint64 {
	s, q := in.state, in.prog.pace.quantum()
	if s.maxFuel > 0 {
		return min(q, s.maxFuel-min(s.used, s.maxFuel))
	}
	return q
}

// endSlice adds what the guest used of its slice to the account, and returns it.
func (in *instance) endSlice() uint64 {
	s := in.state
	s.host.watch.end(&in.watched)
	left := int64(in.fuel.Get())
	used := max(int64(s.slice)-left, 0)
	s.used += uint64(used)
	s.slice = 0
	in.fuel.Set(0)
	return uint64(used)
}

// yield is called by the guest whenever its slice is used up, which is after 0.2 ms of work, or when the watch wants it. Guests that wait for a
// turn, the collector and other goroutines get theirs here.
func yield(ctx context.Context, _ api.Module, _ []uint64) {
	in := instanceOf(ctx)
	used := in.endSlice()
	s := in.state
	now := time.Now()
	if !s.grantAt.IsZero() {
		in.prog.pace.slice(used, now.Sub(s.grantAt))
	}
	s.checkEnd(ctx, now)
	if now.Sub(s.sliceAt) >= turnLength {
		s.sliceAt = now
		if err := s.tell(now); err != nil {
			s.stop(KindQuota, "the tenant used its fuel", err)
		}
		asked := time.Now()
		background.Look(ctx)
		waited := time.Since(asked) // for a slot, which is no time on a core
		s.turn.since, now = s.turn.since.Add(waited), now.Add(waited)
		yieldCore()
	}
	if !s.host.turns.pass(ctx, s.deadline, &s.turn, now) {
		s.end(ctx)
	}
	runtime.Gosched()
	now = time.Now()
	s.checkEnd(ctx, now)
	in.grant(now)
}

// charge takes fuel. The guest's next own charge notices when it is gone.
func (in *instance) charge(units uint64) {
	in.fuel.Set(in.fuel.Get() - units)
}

// chargeContent takes the fuel for checking n bytes of a kind.
func (in *instance) chargeContent(kind abi.Kind, n int) {
	if kind == abi.KindJSON {
		in.charge(jsonFuel * uint64(n))
	}
}
