package tenant_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// tokens is a Verifier of one token.
type tokens struct {
	token   string
	caller  tenant.Principal
	expires time.Time
}

func (v tokens) Verify(_ context.Context, token string) (tenant.Principal, time.Time, error) {
	if token != v.token {
		return tenant.Principal{}, time.Time{}, tenant.ErrUnauthenticated
	}
	return v.caller, v.expires, nil
}

// loss takes a key's right to call away, and is the error for it.
type loss struct {
	change func(ctx context.Context, s *memStore, key tenant.Key) error
	want   error
}

// losses are all ways to lose the right, by name.
func losses() map[string]loss {
	return map[string]loss{
		"revoked": {func(ctx context.Context, s *memStore, k tenant.Key) error {
			return s.DeleteKey(ctx, k.Tenant, k.ID)
		}, tenant.ErrUnauthenticated},
		"suspended": {func(ctx context.Context, s *memStore, k tenant.Key) error {
			return s.PutTenant(ctx, tenant.Tenant{ID: k.Tenant, Suspended: true})
		}, tenant.ErrSuspended},
		"deleting": {func(ctx context.Context, s *memStore, k tenant.Key) error {
			return s.PutTenant(ctx, tenant.Tenant{ID: k.Tenant, Deleting: true})
		}, tenant.ErrSuspended},
		"gone": {func(ctx context.Context, s *memStore, k tenant.Key) error {
			return s.DeleteTenant(ctx, k.Tenant)
		}, tenant.ErrUnauthenticated},
	}
}

// TestSessionsEnd opens sessions with two keys and ends what one of them lost the right to.
func TestSessionsEnd(t *testing.T) {
	for name, c := range losses() {
		t.Run(name, func(t *testing.T) {
			store := newMemStore()
			a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
			open := func(id tenant.ID) (context.Context, tenant.Key) {
				k, plain := addKey(t, store, id)
				ctx, leave, err := a.Enter(t.Context(), "Bearer "+plain)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(leave)
				return ctx, k
			}
			mine, key := open("acme")
			others, _ := open("other")
			a.Recheck(t.Context())
			if mine.Err() != nil || others.Err() != nil {
				t.Fatal("a session ended although nothing changed")
			}
			if err := c.change(t.Context(), store, key); err != nil {
				t.Fatal(err)
			}
			a.Recheck(t.Context())
			if !errors.Is(context.Cause(mine), c.want) {
				t.Errorf("got %v, want %v", context.Cause(mine), c.want)
			}
			if others.Err() != nil {
				t.Errorf("another tenant's session ended: %v", context.Cause(others))
			}
		})
	}
}

// addKey makes a tenant and a key of it.
func addKey(t *testing.T, store *memStore, id tenant.ID) (tenant.Key, string) {
	t.Helper()
	if err := store.PutTenant(t.Context(), tenant.Tenant{ID: id}); err != nil {
		t.Fatal(err)
	}
	k, plain := tenant.NewKey(tenant.KeyParams{Tenant: id, Role: tenant.RoleCaller, Now: time.Now()})
	if err := store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	return k, plain
}

// changing is a store in which something changes right after a tenant was looked up, the last that is looked up of a credential.
type changing struct {
	*memStore

	change func()
}

// GetTenant implements tenant.Store.
func (s *changing) GetTenant(ctx context.Context, id tenant.ID) (tenant.Tenant, error) {
	t, err := s.memStore.GetTenant(ctx, id)
	if change := s.change; change != nil {
		s.change = nil
		change()
	}
	return t, err
}

// TestLossesWhileEntering takes the right away after a key was looked up and before its session is there to be ended.
func TestLossesWhileEntering(t *testing.T) {
	for name, c := range losses() {
		t.Run(name, func(t *testing.T) {
			store := &changing{memStore: newMemStore()}
			a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
			key, plain := addKey(t, store.memStore, "acme")
			store.change = func() {
				if err := c.change(t.Context(), store.memStore, key); err != nil {
					t.Error(err)
				}
				a.Recheck(t.Context())
			}
			ctx, leave, err := a.Enter(t.Context(), "Bearer "+plain)
			if err == nil {
				defer leave()
				t.Fatalf("the key got in; its context has ended: %v", ctx.Err() != nil)
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err := a.Drain(t.Context(), "acme"); err != nil {
				t.Errorf("who was refused is still in: %v", err)
			}
		})
	}
}

// TestDrain waits for one tenant's calls, those that have ended but not left included, and for nobody else's.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
		var leaves []func()
		for _, id := range []tenant.ID{"acme", "acme", "other"} {
			_, plain := addKey(t, store, id)
			_, leave, err := a.Enter(t.Context(), "Bearer "+plain)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		defer leaves[2]()
		if err := store.PutTenant(t.Context(), tenant.Tenant{ID: "acme", Deleting: true}); err != nil {
			t.Fatal(err)
		}
		a.Recheck(t.Context())
		drained := make(chan error, 1)
		go func() { drained <- a.Drain(t.Context(), "acme") }()
		for i, leave := range leaves[:2] {
			synctest.Wait()
			select {
			case err := <-drained:
				t.Fatalf("it did not wait for call %d: %v", i, err)
			default:
			}
			leave()
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Drain(gone, "other"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v for a caller that has gone", err)
		}
	})
}

// TestSessionsOutliveTheStore keeps what is open while the store does not answer.
func TestSessionsOutliveTheStore(t *testing.T) {
	store := newMemStore()
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
	if err := store.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}); err != nil {
		t.Fatal(err)
	}
	k, plain := tenant.NewKey(tenant.KeyParams{Tenant: "acme", Role: tenant.RoleCaller, Now: time.Now()})
	if err := store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	ctx, leave, err := a.Enter(t.Context(), "Bearer "+plain)
	if err != nil {
		t.Fatal(err)
	}
	store.fail = func(string) error { return errors.New("away") }
	a.Recheck(t.Context())
	if ctx.Err() != nil {
		t.Errorf("the session ended: %v", context.Cause(ctx))
	}
	leave()
	if ctx.Err() == nil {
		t.Error("the session goes on after it was left")
	}
}

func TestSessionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		if err := store.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}); err != nil {
			t.Fatal(err)
		}
		k, plain := tenant.NewKey(tenant.KeyParams{Tenant: "acme", Role: tenant.RoleCaller, Now: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		if err := store.PutKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store, Tokens: tokens{
			token: "one.two.three", caller: tenant.Principal{Tenant: "acme", Subject: "ann", Role: tenant.RoleViewer}, expires: time.Now().Add(time.Minute),
		}})
		for header, after := range map[string]time.Duration{"Bearer " + plain: time.Hour, "Bearer one.two.three": time.Minute} {
			ctx, leave, err := a.Enter(t.Context(), header)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			<-ctx.Done()
			if took := time.Since(began); !errors.Is(context.Cause(ctx), tenant.ErrUnauthenticated) || took > after {
				t.Errorf("ended with %v after %v, want %v", context.Cause(ctx), took, after)
			}
			leave()
		}
	})
}

// TestSessionsExpireEarlier rotates a key while calls run under it: they end with its grace, the last one that was given, and not before.
func TestSessionsExpireEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
		k, plain := addKey(t, store, "acme")
		var open []context.Context
		for range 2 {
			ctx, leave, err := a.Enter(t.Context(), "Bearer "+plain)
			if err != nil {
				t.Fatal(err)
			}
			defer leave()
			open = append(open, ctx)
			for _, grace := range []time.Duration{time.Hour, time.Minute, 2 * time.Minute} { // as ExpireKey does, the earliest stays
				if at := time.Now().Add(grace); k.ExpiresAt.IsZero() || at.Before(k.ExpiresAt) {
					k.ExpiresAt = at
				}
				store.set(k)
				a.Recheck(t.Context())
			}
		}
		_, leave, err := a.Enter(t.Context(), "Bearer "+plain)
		if err != nil {
			t.Fatal(err)
		}
		leave() // nothing of it is left
		began := time.Now()
		for _, ctx := range open {
			if ctx.Err() != nil {
				t.Fatal("a call ended before the grace")
			}
		}
		for _, ctx := range open {
			<-ctx.Done()
			if took := time.Since(began); !errors.Is(context.Cause(ctx), tenant.ErrUnauthenticated) || took != time.Minute {
				t.Errorf("ended with %v after %v", context.Cause(ctx), took)
			}
		}
	})
}

func TestTokens(t *testing.T) {
	store := newMemStore()
	for _, tn := range []tenant.Tenant{{ID: "acme"}, {ID: "late", Suspended: true}} {
		if err := store.PutTenant(t.Context(), tn); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		caller tenant.Principal
		token  string
		want   error
	}{
		"good":           {tenant.Principal{Tenant: "acme", Subject: "ann", Role: tenant.RoleViewer}, "t", nil},
		"wrong":          {tenant.Principal{Tenant: "acme", Subject: "ann", Role: tenant.RoleViewer}, "u", tenant.ErrUnauthenticated},
		"no role":        {tenant.Principal{Tenant: "acme", Subject: "ann"}, "t", tenant.ErrUnauthenticated},
		"bad tenant":     {tenant.Principal{Tenant: "a.b", Subject: "ann", Role: tenant.RoleViewer}, "t", tenant.ErrUnauthenticated},
		"no such tenant": {tenant.Principal{Tenant: "gone", Subject: "ann", Role: tenant.RoleViewer}, "t", tenant.ErrUnauthenticated},
		"suspended":      {tenant.Principal{Tenant: "late", Subject: "ann", Role: tenant.RoleViewer}, "t", tenant.ErrSuspended},
	} {
		a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store, Tokens: tokens{token: "t", caller: c.caller}})
		p, err := a.Authenticate(t.Context(), "Bearer "+c.token)
		if !errors.Is(err, c.want) || err == nil && p.Actor() != "oidc:ann" {
			t.Errorf("%s: got %+v, %v; want %v", name, p, err, c.want)
		}
	}
}

// TestLastUse uses keys all the time: the use is stored once a minute.
func TestLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		writes := 0
		store.fail = func(op string) error {
			if op == "NoteUse" {
				writes++
			}
			return nil
		}
		if err := store.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}); err != nil {
			t.Fatal(err)
		}
		k, plain := tenant.NewKey(tenant.KeyParams{Tenant: "acme", Role: tenant.RoleCaller, Now: time.Now()})
		if err := store.PutKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
		began := time.Now()
		for range 300 {
			if _, err := a.Authenticate(t.Context(), "Bearer "+plain); err != nil {
				t.Fatal(err)
			}
			if err := a.FlushUse(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		used, err := store.LastUse(t.Context(), "acme")
		if err != nil || !used[k.ID].Equal(began.Add(4*time.Minute)) || writes != 5 {
			t.Errorf("got %v after %d writes, %v", used, writes, err)
		}
	})
}

// Nothing is kept of the keys of a tenant that is gone.
func TestLastUseOfWhoIsGone(t *testing.T) {
	store := newMemStore()
	if err := store.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}); err != nil {
		t.Fatal(err)
	}
	k, plain := tenant.NewKey(tenant.KeyParams{Tenant: "acme", Role: tenant.RoleCaller, Now: time.Now()})
	if err := store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: store})
	if _, err := a.Authenticate(t.Context(), "Bearer "+plain); err != nil {
		t.Fatal(err)
	}
	if err := store.DeleteTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if err := a.FlushUse(t.Context()); err != nil {
		t.Fatal(err)
	}
	if used, err := store.LastUse(t.Context(), "acme"); err != nil || len(used) != 0 {
		t.Errorf("got %v, %v", used, err)
	}
}

func TestScope(t *testing.T) {
	all, one := tenant.Principal{}, tenant.Principal{Graphs: []string{"a", "b"}}
	if !all.HasGraph("a") || !one.HasGraph("b") || one.HasGraph("c") || one.HasGraph("") {
		t.Error("a scope lets in the wrong graphs")
	}
	nested := tenant.Principal{Graphs: []string{"ocr", "ocr.v2"}}
	for name, want := range map[string]bool{
		"ocr.det": true, "ocr.v2.det": true, "ocr.v3.det": false, "ocr": false, "ocr.v2": true, "ocr-det": false, "ocrdet": false,
		"Ocr.det": false, "det": false, "": false, ".det": false,
	} {
		if nested.HasNamed(name) != want || !all.HasNamed(name) {
			t.Errorf("%q: got %v, want %v; without a scope got %v", name, nested.HasNamed(name), want, all.HasNamed(name))
		}
	}
	admin := tenant.Principal{Tenant: tenant.Default, Role: tenant.RoleAdmin, Graphs: []string{"a"}}
	if admin.Can(tenant.ActionManage) || admin.Can(tenant.ActionOperate) {
		t.Error("an admin with a scope, whom nobody makes, may manage")
	}
}

func TestEffectiveLimits(t *testing.T) {
	if got := (tenant.Tenant{ID: tenant.Default}).Effective(); got != tenant.Unlimited() {
		t.Errorf("the default tenant: got %+v", got)
	}
	if got := (tenant.Tenant{ID: "acme"}).Effective(); got != tenant.DefaultLimits() {
		t.Errorf("a new tenant: got %+v", got)
	}
	own := tenant.Limits{InFlight: 3, FuelPerSecond: -1}
	got := (tenant.Tenant{ID: "acme", Limits: own}).Effective()
	if got.InFlight != 3 || got.FuelPerSecond != -1 || got.Objects != tenant.DefaultLimits().Objects {
		t.Errorf("own limits: got %+v", got)
	}
}
