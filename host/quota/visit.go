package quota

import (
	"errors"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

var errLeft = errors.New("the call that would hold more has left")

// Visit is one call that was let in. Its methods may overlap.
type Visit struct {
	door    *Door
	tenant  tenant.ID
	account *account
	limits  tenant.Limits
	bytes   int64 // of the body; guarded by Door.mu
	held    int64 // by what was made of it; guarded by Door.mu
	users   int   // the call until it leaves, and who retains the visit; guarded by Door.mu
	left    sync.Once
}

// Bytes admits n more bytes of the call's body; they count until the visit ends. The error is a *tenant.QuotaError.
func (v *Visit) Bytes(n int64) error {
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if over(v.limits.BytesInFlight, v.account.bytes, n) {
		return exceeded("bytes_in_flight", float64(v.limits.BytesInFlight), float64(v.account.bytes), float64(n), 100*time.Millisecond)
	}
	v.account.bytes += n
	v.bytes += n
	return nil
}

// Hold admits n bytes that the call holds beside its body, such as an answer on its way out; they count until they are given back,
// with n below 0, or the visit ends, which is when the call has left and nobody retains it. The error is a *tenant.QuotaError, or
// another one after the end, when nothing more is admitted and giving back does nothing.
func (v *Visit) Hold(n int64) error {
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case v.users == 0 && n > 0:
		return errLeft
	case v.users == 0:
		return nil
	case n > 0 && over(v.limits.BytesInFlight, v.account.bytes, n):
		return exceeded("bytes_in_flight", float64(v.limits.BytesInFlight), float64(v.account.bytes), float64(n), time.Second)
	}
	v.account.bytes += n
	v.held += n
	return nil
}

// Fuel charges what the call's plugins executed.
func (v *Visit) Fuel(n uint64) {
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	v.account.fuel.charge(d.cfg.Now(), v.limits.FuelPerSecond, float64(n))
}

// Retain keeps what the call holds counted beyond Leave, its body included, for what runs on after it: until done is called, of
// which calls after the first do nothing. Call it before Leave.
func (v *Visit) Retain() (done func()) {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.users++
	return sync.OnceFunc(func() {
		v.door.mu.Lock()
		defer v.door.mu.Unlock()
		v.endLocked()
	})
}

// endLocked gives everything back when the last user of the visit is gone.
func (v *Visit) endLocked() {
	if v.users--; v.users == 0 {
		v.account.bytes -= v.bytes + v.held
	}
}

// Leave ends the call and returns the bytes that its body had. Calls after the first do nothing.
func (v *Visit) Leave() (bytes int64) {
	v.left.Do(func() {
		d := v.door
		d.mu.Lock()
		defer d.mu.Unlock()
		v.account.inFlight--
		bytes = v.bytes
		v.endLocked()
	})
	return bytes
}
