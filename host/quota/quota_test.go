package quota_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/tenant"
)

const acme, other tenant.ID = "acme", "other"

func door(limits tenant.Limits) *quota.Door {
	return quota.New(quota.Config{Limits: func(id tenant.ID) tenant.Limits {
		if id == acme {
			return limits
		}
		return tenant.Unlimited()
	}})
}

func with(change func(*tenant.Limits)) tenant.Limits {
	l := tenant.Unlimited()
	change(&l)
	return l
}

// refused checks that err names the quota and returns when to try again.
func refused(t *testing.T, err error, name string) time.Duration {
	t.Helper()
	var q *tenant.QuotaError
	if !errors.As(err, &q) || !errors.Is(err, tenant.ErrQuota) || q.Quota != name {
		t.Fatalf("got %v, want quota %s", err, name)
	}
	return time.Duration(q.RetryAfterSeconds * float64(time.Second))
}

func TestInFlight(t *testing.T) {
	d := door(with(func(l *tenant.Limits) { l.InFlight = 2 }))
	one, err1 := d.Enter(acme)
	two, err2 := d.Enter(acme)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	_, err := d.Enter(acme)
	refused(t, err, "in_flight")
	for range 100 {
		if _, err := d.Enter(other); err != nil {
			t.Fatalf("another tenant: %v", err)
		}
	}
	one.Leave()
	one.Leave()
	if _, err := d.Enter(acme); err != nil {
		t.Errorf("after one left: %v", err)
	}
	_, err = d.Enter(acme)
	refused(t, err, "in_flight") // leaving twice counted once
	two.Leave()
	if u := d.Use(acme); u.InFlight != 1 {
		t.Errorf("got %+v", u)
	}
}

func TestBytesInFlight(t *testing.T) {
	d := door(with(func(l *tenant.Limits) { l.BytesInFlight = 100 }))
	one, _ := d.Enter(acme)
	two, _ := d.Enter(acme)
	if err := errors.Join(one.Bytes(60), two.Bytes(40)); err != nil {
		t.Fatal(err)
	}
	refused(t, two.Bytes(1), "bytes_in_flight")
	if n := one.Leave(); n != 60 {
		t.Errorf("the body had %d bytes, want 60", n)
	}
	if err := two.Bytes(60); err != nil {
		t.Errorf("after the other left: %v", err)
	}
	two.Leave()
	if u := d.Use(acme); u.BytesInFlight != 0 {
		t.Errorf("got %+v", u)
	}
}

// TestHold counts what is made of a body with it, gives back, and leaves nothing behind.
func TestHold(t *testing.T) {
	d := door(with(func(l *tenant.Limits) { l.BytesInFlight = 100 }))
	one, _ := d.Enter(acme)
	if err := errors.Join(one.Bytes(30), one.Hold(60), one.Hold(-20)); err != nil {
		t.Fatal(err)
	}
	if wait := refused(t, one.Hold(31), "bytes_in_flight"); wait <= 0 {
		t.Error("no hint when to try again")
	}
	if err := one.Hold(30); err != nil {
		t.Error(err)
	}
	if n := one.Leave(); n != 30 {
		t.Errorf("the body had %d bytes, want 30", n)
	}
	if err := errors.Join(one.Hold(1), one.Hold(-1)); err == nil { // nobody would give back what it held
		t.Error("a call that has left holds more")
	}
	if u := d.Use(acme); u.BytesInFlight != 0 {
		t.Errorf("got %+v", u)
	}
}

// TestRetain has something run on after a call: what the call holds counts until both have ended, and what runs on may hold no more
// than the call might.
func TestRetain(t *testing.T) {
	d := door(with(func(l *tenant.Limits) { l.InFlight, l.BytesInFlight = 1, 100 }))
	one, _ := d.Enter(acme)
	if err := errors.Join(one.Bytes(30), one.Hold(20)); err != nil {
		t.Fatal(err)
	}
	first, second := one.Retain(), one.Retain()
	if n := one.Leave(); n != 30 {
		t.Errorf("the body had %d bytes, want 30", n)
	}
	if u := d.Use(acme); u.InFlight != 0 || u.BytesInFlight != 50 {
		t.Errorf("after the call: got %+v", u)
	}
	refused(t, one.Hold(51), "bytes_in_flight")
	if err := errors.Join(one.Hold(50), one.Hold(-10)); err != nil {
		t.Error(err)
	}
	two, err := d.Enter(acme)
	if err != nil {
		t.Fatalf("what runs on is taken for a call: %v", err)
	}
	refused(t, two.Bytes(11), "bytes_in_flight")
	two.Leave()
	first()
	first()
	if u := d.Use(acme); u.BytesInFlight != 90 {
		t.Errorf("one still runs: got %+v", u)
	}
	second()
	if u := d.Use(acme); u.InFlight != 0 || u.BytesInFlight != 0 {
		t.Errorf("in the end: got %+v", u)
	}
}

// TestRates takes each rate's second at once and then waits as long as it is told to.
func TestRates(t *testing.T) {
	for name, c := range map[string]struct {
		limits tenant.Limits
		take   func(d *quota.Door) error
	}{
		"requests_per_second": {with(func(l *tenant.Limits) { l.RequestsPerSecond = 10 }), func(d *quota.Door) error {
			v, err := d.Enter(acme)
			if err == nil {
				v.Leave()
			}
			return err
		}},
		"records_per_second":      {with(func(l *tenant.Limits) { l.RecordsPerSecond = 30 }), func(d *quota.Door) error { return d.Records(acme, 3) }},
		"upload_bytes_per_second": {with(func(l *tenant.Limits) { l.UploadBytesPerSecond = 1000 }), func(d *quota.Door) error { return d.Upload(acme, 100) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := door(c.limits)
				for i := range 10 {
					if err := c.take(d); err != nil {
						t.Fatalf("%d: %v", i, err)
					}
				}
				for range 5 {
					wait := refused(t, c.take(d), name)
					if wait <= 0 || wait > 110*time.Millisecond {
						t.Fatalf("told to wait %v for a tenth of a second's worth", wait)
					}
					time.Sleep(wait)
					if err := c.take(d); err != nil {
						t.Fatalf("after waiting as told: %v", err)
					}
				}
			})
		})
	}
}

// TestLargeUpload sends a chunk that is larger than a second's worth: it passes, and the next one waits for it.
func TestLargeUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := door(with(func(l *tenant.Limits) { l.UploadBytesPerSecond = 100 }))
		if err := d.Upload(acme, 500); err != nil {
			t.Fatal(err)
		}
		if wait := refused(t, d.Upload(acme, 1), "upload_bytes_per_second"); wait < 4*time.Second || wait > 5*time.Second {
			t.Errorf("told to wait %v", wait)
		}
	})
}

// TestFuel runs into debt by one call, and is let in again when it is paid.
func TestFuel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := door(with(func(l *tenant.Limits) { l.FuelPerSecond = 1000 }))
		v, err := d.Enter(acme)
		if err != nil {
			t.Fatal(err)
		}
		v.Fuel(61_000)
		v.Leave()
		_, err = d.Enter(acme)
		wait := refused(t, err, "fuel_per_second")
		if wait != time.Minute {
			t.Errorf("told to wait %v, want a minute", wait)
		}
		// Two minutes of other tenants' calls sweep idle accounts; a debt is not idle before it is paid.
		time.Sleep(30 * time.Second)
		if _, err := d.Enter(other); err != nil {
			t.Fatal(err)
		}
		_, err = d.Enter(acme)
		refused(t, err, "fuel_per_second")
		time.Sleep(wait)
		if _, err := d.Enter(acme); err != nil {
			t.Errorf("after the debt was paid: %v", err)
		}
	})
}

func TestIdleAccountsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := door(tenant.DefaultLimits())
		for _, id := range []tenant.ID{"a", "b", "c"} {
			v, err := d.Enter(id)
			if err != nil {
				t.Fatal(err)
			}
			if id == "b" { // something of it runs on
				if err := v.Bytes(10); err != nil {
					t.Fatal(err)
				}
				v.Retain()
			}
			if id != "c" {
				v.Leave()
			}
		}
		time.Sleep(2 * time.Minute)
		if _, err := d.Enter("d"); err != nil {
			t.Fatal(err)
		}
		if n := d.Accounts(); n != 3 { // c is still in
			t.Errorf("%d accounts are kept, want 3", n)
		}
		if u := d.Use("b"); u.BytesInFlight != 10 {
			t.Errorf("got %+v, want what it holds", u)
		}
	})
}

// TestBoundsHold makes random visits: what is in never exceeds a limit, and all that left gives everything back.
func TestBoundsHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := with(func(l *tenant.Limits) {
			l.InFlight = rapid.Int64Range(0, 5).Draw(rt, "in flight")
			l.BytesInFlight = rapid.Int64Range(0, 50).Draw(rt, "bytes")
		})
		d := door(limits)
		var in []*quota.Visit
		var runOn []func()
		for range rapid.IntRange(1, 50).Draw(rt, "steps") {
			switch {
			case len(in) > 0 && rapid.Bool().Draw(rt, "leave"):
				if rapid.Bool().Draw(rt, "run on") {
					runOn = append(runOn, in[0].Retain())
				}
				in[0].Leave()
				in = in[1:]
			case len(in) > 0 && rapid.Bool().Draw(rt, "read"):
				_ = in[len(in)-1].Bytes(rapid.Int64Range(0, 30).Draw(rt, "n")) // the bound is what is tested
				_ = in[0].Hold(rapid.Int64Range(0, 30).Draw(rt, "held"))       // likewise
			default:
				if v, err := d.Enter(acme); err == nil {
					in = append(in, v)
				}
			}
			u := d.Use(acme)
			if u.InFlight != int64(len(in)) || u.InFlight > limits.InFlight || u.BytesInFlight > limits.BytesInFlight {
				rt.Fatalf("%d are in, limits %+v: got %+v", len(in), limits, u)
			}
		}
		for _, v := range in {
			v.Leave()
		}
		for _, done := range runOn {
			done()
		}
		if u := d.Use(acme); u.InFlight != 0 || u.BytesInFlight != 0 {
			rt.Fatalf("after all left: got %+v", u)
		}
	})
}

// TestDoorHammer has many callers at the door at once, for the race detector.
func TestDoorHammer(t *testing.T) {
	d := door(with(func(l *tenant.Limits) { l.InFlight, l.BytesInFlight = 4, 1000 }))
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 2000 {
				v, err := d.Enter(acme)
				if err != nil {
					continue
				}
				_ = v.Bytes(100) // may be refused
				v.Fuel(10)
				v.Leave()
			}
		})
	}
	callers.Wait()
	if u := d.Use(acme); u.InFlight != 0 || u.BytesInFlight != 0 {
		t.Errorf("got %+v", u)
	}
}
