package tenant_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/system"
)

// memStore is a tenant.Store in memory. fail, when set, is asked before every call.
type memStore struct {
	mu      sync.Mutex
	tenants map[tenant.ID]tenant.Tenant
	keys    map[string]tenant.Key
	used    map[tenant.ID]map[string]time.Time
	fail    func(op string) error
}

var _ tenant.Store = (*memStore)(nil)

func newMemStore() *memStore {
	return &memStore{tenants: map[tenant.ID]tenant.Tenant{}, keys: map[string]tenant.Key{}, used: map[tenant.ID]map[string]time.Time{}}
}

func (s *memStore) enter(op string) (func(), error) {
	s.mu.Lock()
	if s.fail != nil {
		if err := s.fail(op); err != nil {
			s.mu.Unlock()
			return nil, err
		}
	}
	return s.mu.Unlock, nil
}

func (s *memStore) PutTenant(_ context.Context, t tenant.Tenant) error {
	leave, err := s.enter("PutTenant")
	if err != nil {
		return err
	}
	defer leave()
	s.tenants[t.ID] = t
	return nil
}

func (s *memStore) GetTenant(_ context.Context, id tenant.ID) (tenant.Tenant, error) {
	leave, err := s.enter("GetTenant")
	if err != nil {
		return tenant.Tenant{}, err
	}
	defer leave()
	t, ok := s.tenants[id]
	if !ok {
		return t, tenant.ErrNotFound
	}
	return t, nil
}

func (s *memStore) ListTenants(context.Context) ([]tenant.Tenant, error) {
	leave, err := s.enter("ListTenants")
	if err != nil {
		return nil, err
	}
	defer leave()
	return slices.SortedFunc(maps.Values(s.tenants), func(a, b tenant.Tenant) int { return cmp.Compare(a.ID, b.ID) }), nil
}

func (s *memStore) PutKey(_ context.Context, k tenant.Key) error {
	leave, err := s.enter("PutKey")
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := s.keys[k.ID]; ok {
		return tenant.ErrExists
	}
	s.keys[k.ID] = k
	return nil
}

// set replaces a key.
func (s *memStore) set(k tenant.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.ID] = k
}

func (s *memStore) GetKey(_ context.Context, id string) (tenant.Key, error) {
	leave, err := s.enter("GetKey")
	if err != nil {
		return tenant.Key{}, err
	}
	defer leave()
	k, ok := s.keys[id]
	if !ok {
		return k, tenant.ErrNotFound
	}
	return k, nil
}

func (s *memStore) ListKeys(_ context.Context, id tenant.ID) ([]tenant.Key, error) {
	leave, err := s.enter("ListKeys")
	if err != nil {
		return nil, err
	}
	defer leave()
	var ks []tenant.Key
	for _, k := range s.keys {
		if k.Tenant == id {
			ks = append(ks, k)
		}
	}
	slices.SortFunc(ks, func(a, b tenant.Key) int { return cmp.Compare(a.ID, b.ID) })
	return ks, nil
}

func (s *memStore) DeleteKey(_ context.Context, id tenant.ID, keyID string) error {
	leave, err := s.enter("DeleteKey")
	if err != nil {
		return err
	}
	defer leave()
	if k, ok := s.keys[keyID]; !ok || k.Tenant != id {
		return tenant.ErrNotFound
	}
	delete(s.keys, keyID)
	return nil
}

func TestFrom(t *testing.T) {
	if id, err := tenant.From(t.Context()); id != "" || !errors.Is(err, tenant.ErrNone) {
		t.Errorf("got %q, %v; want %v", id, err, tenant.ErrNone)
	}
	if _, err := tenant.From(system.As(t.Context(), "", tenant.RoleAdmin)); !errors.Is(err, tenant.ErrNone) {
		t.Errorf("the zero tenant: got %v, want %v", err, tenant.ErrNone)
	}
	ctx := system.As(t.Context(), "acme", tenant.RoleViewer)
	if id, err := tenant.From(ctx); id != "acme" || err != nil {
		t.Errorf("got %q, %v; want acme", id, err)
	}
	want := tenant.Principal{Tenant: "acme", Role: tenant.RoleViewer}
	if p, err := tenant.PrincipalFrom(ctx); gocmp.Diff(want, p) != "" || err != nil {
		t.Errorf("got %+v, %v; want %+v", p, err, want)
	}
}

func TestRoles(t *testing.T) {
	actions := []tenant.Action{
		tenant.ActionDescribe, tenant.ActionView, tenant.ActionCall, tenant.ActionPublish, tenant.ActionManage, tenant.ActionOperate, "other",
	}
	for _, c := range []struct {
		p    tenant.Principal
		want string
	}{
		{tenant.Principal{Tenant: "default", Role: tenant.RoleAdmin}, "describe view call publish manage operate"},
		{tenant.Principal{Tenant: "acme", Role: tenant.RoleAdmin}, "describe view call publish manage"},
		{tenant.Principal{Tenant: "default", Role: tenant.RolePublisher}, "describe view call publish"},
		{tenant.Principal{Tenant: "default", Role: tenant.RoleCaller}, "describe call"},
		{tenant.Principal{Tenant: "default", Role: tenant.RoleViewer}, "describe view"},
		{tenant.Principal{Tenant: "default", Role: "root"}, ""},
		{tenant.Principal{Tenant: "default"}, ""},
		{tenant.Principal{Role: tenant.RoleAdmin}, ""},
	} {
		var can []string
		for _, a := range actions {
			if c.p.Can(a) {
				can = append(can, string(a))
			}
			ctx := system.As(t.Context(), c.p.Tenant, c.p.Role)
			id, err := tenant.Require(ctx, a)
			switch {
			case c.p.Can(a) && (id != c.p.Tenant || err != nil):
				t.Errorf("%+v %s: got %q, %v", c.p, a, id, err)
			case !c.p.Can(a) && c.p.Tenant != "" && (id != "" || !errors.Is(err, tenant.ErrDenied)):
				t.Errorf("%+v %s: got %q, %v; want %v", c.p, a, id, err, tenant.ErrDenied)
			}
		}
		if got := strings.Join(can, " "); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.p, got, c.want)
		}
	}
	if _, err := tenant.Require(t.Context(), tenant.ActionView); !errors.Is(err, tenant.ErrNone) {
		t.Errorf("got %v, want %v", err, tenant.ErrNone)
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, c := range []struct {
		s             string
		id, name, tag bool
	}{
		{"a", true, true, true},
		{"default", true, true, true},
		{"a-b-1", true, true, true},
		{"1a", false, true, false},
		{"7", false, true, false},
		{"ppocr-det", true, true, true},
		{"yolo-v8.1_x", false, true, true},
		{"Model", false, true, false},
		{"a--b", false, true, true},
		{"a..b", false, false, false},
		{"a.-.b", false, true, true},
		{"", false, false, false},
		{"-a", false, false, false},
		{"a-", false, false, false},
		{".a", false, false, false},
		{"a.", false, false, false},
		{"_a", false, false, false},
		{"a b", false, false, false},
		{"a/b", false, false, false},
		{"a@b", false, false, false},
		{"a:b", false, false, false},
		{"a*", false, false, false},
		{"a.>", false, false, false},
		{"é", false, false, false},
		{"a\n", false, false, false},
		{"a\x00", false, false, false},
		{long[:63], true, true, true},
		{long[:64], false, true, true},
		{long[:65], false, true, false},
		{long[:100], false, true, false},
		{long[:101], false, false, false},
	} {
		for what, got := range map[string]struct {
			err error
			ok  bool
		}{
			"id":   {tenant.CheckID(tenant.ID(c.s)), c.id},
			"name": {tenant.CheckName(c.s), c.name},
			"tag":  {tenant.CheckTag(c.s), c.tag},
		} {
			if (got.err == nil) != got.ok || got.err != nil && !errors.Is(got.err, tenant.ErrName) {
				t.Errorf("%s %q: got %v, want ok %v", what, c.s, got.err, got.ok)
			}
		}
	}
	if err := tenant.CheckName(strings.Repeat("x", 1<<20)); len(err.Error()) > 300 {
		t.Errorf("message of %d bytes", len(err.Error()))
	}
}

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func (s *memStore) DeleteTenant(_ context.Context, id tenant.ID) error {
	leave, err := s.enter("DeleteTenant")
	if err != nil {
		return err
	}
	defer leave()
	delete(s.tenants, id)
	return nil
}

func (s *memStore) NoteUse(_ context.Context, id tenant.ID, used map[string]time.Time) error {
	leave, err := s.enter("NoteUse")
	if err != nil {
		return err
	}
	defer leave()
	if s.used[id] == nil {
		s.used[id] = map[string]time.Time{}
	}
	maps.Copy(s.used[id], used)
	return nil
}

func (s *memStore) LastUse(_ context.Context, id tenant.ID) (map[string]time.Time, error) {
	leave, err := s.enter("LastUse")
	if err != nil {
		return nil, err
	}
	defer leave()
	return maps.Clone(s.used[id]), nil
}
