package audit_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) (*audit.Log, func()) {
	t.Helper()
	return openOf(t, dir, audit.Config{})
}

func openOf(t *testing.T, dir string, cfg audit.Config) (*audit.Log, func()) {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), c.Conn(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l, func() {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAppendAndList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	l, done := open(t, dir)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var want []audit.Change
	for i := range 250 {
		c := audit.Change{
			At: at, Tenant: []tenant.ID{"acme", "other"}[i%2], Actor: "key:abc", By: "acme", Action: "PublishGraph",
			Kind: "graph", Name: "g", After: "sha256:1",
		}
		if err := l.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if c.Tenant == "acme" {
			want = append(want, c)
		}
	}
	done()
	l, done = open(t, dir) // what was acknowledged is there after a restart
	defer done()
	var got []audit.Change
	for {
		page, err := l.List(t.Context(), audit.Filter{Tenant: "acme", After: last(got), Size: 40})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(audit.Change{}, "ID")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all, err := l.List(t.Context(), audit.Filter{Size: 1000})
	if err != nil || len(all) != 250 {
		t.Errorf("got %d of all, %v", len(all), err)
	}
	none, err := l.List(t.Context(), audit.Filter{Since: time.Now().Add(time.Hour)})
	if err != nil || len(none) != 0 {
		t.Errorf("got %d from the future, %v", len(none), err)
	}
}

// TestTenantsEvictOnlyTheirOwn has one tenant make many more changes than are kept.
func TestTenantsEvictOnlyTheirOwn(t *testing.T) {
	const most = 10
	l, done := openOf(t, filepath.Join(t.TempDir(), "catalog"), audit.Config{MaxChanges: most})
	defer done()
	add := func(of, by tenant.ID, name string) {
		if err := l.Append(t.Context(), audit.Change{Tenant: of, By: by, Action: "SetTag", Kind: "model", Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	add("other", "other", "theirs")
	add("acme", "default", "the operator's")
	want := []string{"the operator's"}
	for i := range 5 * most {
		name := strconv.Itoa(i)
		add("acme", "acme", name)
		if i >= 4*most {
			want = append(want, name)
		}
	}
	if diff := cmp.Diff(want, names(t, l, "acme")); diff != "" {
		t.Errorf("the tenant's own (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"theirs"}, names(t, l, "other")); diff != "" {
		t.Errorf("another tenant's (-want +got):\n%s", diff)
	}
}

// TestForget forgets a tenant, and nothing of one whose name begins like its own.
func TestForget(t *testing.T) {
	l, done := open(t, filepath.Join(t.TempDir(), "catalog"))
	defer done()
	for _, c := range []audit.Change{
		{Tenant: "acme", By: "acme", Name: "own"},
		{Tenant: "acme", By: "default", Name: "the operator's"},
		{Tenant: "acme2", By: "acme2", Name: "another"},
		{Tenant: "default", By: "default", Name: "acme"},
	} {
		if err := l.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := l.Forget(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"another", "acme"}, names(t, l, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := l.Append(t.Context(), audit.Change{Tenant: "acme", By: "acme", Name: "again"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"again"}, names(t, l, "acme")); diff != "" {
		t.Errorf("the next of the same name (-want +got):\n%s", diff)
	}
}

// names returns the names of what was changed of a tenant.
func names(t *testing.T, l *audit.Log, id tenant.ID) []string {
	t.Helper()
	all, err := l.List(t.Context(), audit.Filter{Tenant: id})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range all {
		out = append(out, all[i].Name)
	}
	return out
}

func last(cs []audit.Change) string {
	if len(cs) == 0 {
		return ""
	}
	return cs[len(cs)-1].ID
}

func TestBadArguments(t *testing.T) {
	l, done := open(t, filepath.Join(t.TempDir(), "catalog"))
	defer done()
	for _, c := range []audit.Change{{Tenant: "a.>", By: "acme"}, {Tenant: "acme", By: "*"}, {Tenant: "acme"}} {
		if err := l.Append(t.Context(), c); !errors.Is(err, tenant.ErrName) {
			t.Errorf("of %q by %q: got %v", c.Tenant, c.By, err)
		}
	}
	if err := l.Forget(t.Context(), ">"); !errors.Is(err, tenant.ErrName) {
		t.Errorf("got %v", err)
	}
	if _, err := l.List(t.Context(), audit.Filter{Tenant: "*"}); !errors.Is(err, tenant.ErrName) {
		t.Errorf("got %v", err)
	}
	for _, after := range []string{"x", "-1", "99999999999999999999"} {
		if _, err := l.List(t.Context(), audit.Filter{After: after}); !errors.Is(err, catalog.ErrInvalid) {
			t.Errorf("%s: got %v", after, err)
		}
	}
}
