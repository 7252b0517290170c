package audit_test

import (
	"errors"
	"log/slog"
	"path/filepath"
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
	c, err := catalog.Open(t.Context(), catalog.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), c.Conn(), audit.Config{})
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

func last(cs []audit.Change) string {
	if len(cs) == 0 {
		return ""
	}
	return cs[len(cs)-1].ID
}

func TestBadArguments(t *testing.T) {
	l, done := open(t, filepath.Join(t.TempDir(), "catalog"))
	defer done()
	if err := l.Append(t.Context(), audit.Change{Tenant: "a.>"}); !errors.Is(err, tenant.ErrName) {
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
