// Package quota is the door: it counts what tenants use against their limits and refuses what would exceed one, before any
// work is queued.
//
// It knows nothing of requests: a [Visit] is one call, from its authentication to its answer, or to the end of what runs on after that.
// Rates are token buckets that hold one second's worth; what is charged after the fact (fuel) may run a bucket into debt, and the
// tenant waits until it is paid. Everything is in memory: a restart forgets debts.
//
// The package starts no goroutines. One lock, of the Door; nothing is called with it held but the clock and the limits. Changes of a
// tenant wait for each other in a channel.
package quota

import (
	"math"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Config configures a Door.
type Config struct {
	// Limits returns a tenant's limits with the defaults filled in. It is asked at every visit and must answer from memory.
	// Required.
	Limits func(tenant.ID) tenant.Limits
	// Changes is how many changes of one tenant go on at once. Default 1.
	Changes int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Door admits calls. Its methods may overlap.
type Door struct {
	cfg Config

	mu       sync.Mutex // guards the following
	accounts map[tenant.ID]*account
	sweptAt  time.Time
}

// New returns a Door.
func New(cfg Config) *Door {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Changes = max(cfg.Changes, 1)
	return &Door{cfg: cfg, accounts: make(map[tenant.ID]*account)}
}

// account is what one tenant uses now.
type account struct {
	inFlight, bytes                  int64
	requests, fuel, records, uploads bucket
	seen                             time.Time
	changes                          chan struct{} // holds one for each change that goes on; nil before the first
}

// Use is what a tenant uses now.
type Use struct {
	InFlight, BytesInFlight int64
	// RequestsPerSecond and the others are what was used in the second before, at most the limit; a debt counts as the limit.
	RequestsPerSecond, FuelPerSecond, RecordsPerSecond, UploadBytesPerSecond float64
}

// Enter admits one call of a tenant. The error is a *tenant.QuotaError.
func (d *Door) Enter(t tenant.ID) (*Visit, error) {
	limits := d.cfg.Limits(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Now()
	a := d.accountLocked(t, now)
	if wait := a.fuel.wait(now, limits.FuelPerSecond, 0); wait > 0 {
		return nil, exceeded("fuel_per_second", limits.FuelPerSecond, a.fuel.used(now, limits.FuelPerSecond), 0, wait)
	}
	if over(limits.InFlight, a.inFlight, 1) {
		// Whoever is in leaves at some moment; there is no telling when, but soon is a good guess.
		return nil, exceeded("in_flight", float64(limits.InFlight), float64(a.inFlight), 1, 100*time.Millisecond)
	}
	if wait := a.requests.take(now, limits.RequestsPerSecond, 1); wait > 0 {
		return nil, exceeded("requests_per_second", limits.RequestsPerSecond, limits.RequestsPerSecond, 1, wait)
	}
	a.inFlight++
	return &Visit{door: d, tenant: t, account: a, limits: limits, users: 1}, nil
}

// Records admits n records of a tenant, all or none. The error is a *tenant.QuotaError.
func (d *Door) Records(t tenant.ID, n int) error {
	limits := d.cfg.Limits(t)
	return d.take(t, "records_per_second", limits.RecordsPerSecond, float64(n), func(a *account) *bucket { return &a.records })
}

// Upload admits n bytes of an upload. The error is a *tenant.QuotaError.
func (d *Door) Upload(t tenant.ID, n int) error {
	limits := d.cfg.Limits(t)
	return d.take(t, "upload_bytes_per_second", limits.UploadBytesPerSecond, float64(n), func(a *account) *bucket { return &a.uploads })
}

func (d *Door) take(t tenant.ID, quota string, rate, n float64, of func(*account) *bucket) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Now()
	b := of(d.accountLocked(t, now))
	if wait := b.take(now, rate, n); wait > 0 {
		return exceeded(quota, rate, b.used(now, rate), n, wait)
	}
	return nil
}

// Use returns what a tenant uses now.
func (d *Door) Use(t tenant.ID) Use {
	limits := d.cfg.Limits(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.accounts[t]
	if a == nil {
		return Use{}
	}
	now := d.cfg.Now()
	return Use{
		InFlight: a.inFlight, BytesInFlight: a.bytes,
		RequestsPerSecond:    a.requests.used(now, limits.RequestsPerSecond),
		FuelPerSecond:        a.fuel.used(now, limits.FuelPerSecond),
		RecordsPerSecond:     a.records.used(now, limits.RecordsPerSecond),
		UploadBytesPerSecond: a.uploads.used(now, limits.UploadBytesPerSecond),
	}
}

// Accounts returns how many tenants are kept in memory, for a metric.
func (d *Door) Accounts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.accounts)
}

// idleAfter is when an account says nothing any more that a new one would not: its buckets are full but for the deepest debts.
const idleAfter = time.Minute

// accountLocked returns the tenant's account, and every now and then drops those that nobody used for a while.
func (d *Door) accountLocked(t tenant.ID, now time.Time) *account {
	if now.Sub(d.sweptAt) > idleAfter {
		d.sweptAt = now
		for id, a := range d.accounts {
			if a.inFlight == 0 && a.bytes == 0 && now.Sub(a.seen) > idleAfter && !a.fuel.indebted(now, d.cfg.Limits(id).FuelPerSecond) {
				delete(d.accounts, id)
			}
		}
	}
	a := d.accounts[t]
	if a == nil {
		a = &account{}
		d.accounts[t] = a
	}
	a.seen = now
	return a
}

// over reports whether n more than used is too much; a negative limit is none.
func over(limit, used, n int64) bool { return limit >= 0 && used+n > limit }

func exceeded(quota string, limit, used, need float64, wait time.Duration) *tenant.QuotaError {
	return &tenant.QuotaError{
		Quota: quota, Limit: int64(math.Ceil(limit)), Use: int64(math.Round(used)), Need: int64(math.Round(need)),
		RetryAfterSeconds: wait.Seconds(),
	}
}
