package quota

import (
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Visit is one call that was let in. Its methods may overlap.
type Visit struct {
	door    *Door
	tenant  tenant.ID
	account *account
	limits  tenant.Limits
	bytes   int64 // of the body; guarded by Door.mu
	held    int64 // by what was made of it; guarded by Door.mu
	gone    bool  // guarded by Door.mu
	left    sync.Once
}

// Bytes admits n more bytes of the call's body; they count until the call leaves. The error is a *tenant.QuotaError.
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
// with n below 0, or the call leaves. The error is a *tenant.QuotaError.
func (v *Visit) Hold(n int64) error {
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case v.gone:
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

// Leave ends the visit and returns the bytes that its body had. Calls after the first do nothing.
func (v *Visit) Leave() (bytes int64) {
	v.left.Do(func() {
		d := v.door
		d.mu.Lock()
		defer d.mu.Unlock()
		v.account.inFlight--
		v.account.bytes -= v.bytes + v.held
		v.gone = true
		bytes = v.bytes
	})
	return bytes
}
