package usage_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const acme, other tenant.ID = "acme", "other"

// house is a store with a clock that the test moves. What lies in the range of a query is found by the store's clock, so the
// test's does not go back behind it.
type house struct {
	catalog *catalog.Catalog
	mu      sync.Mutex
	now     time.Time
}

func newHouse(t *testing.T, dir string) *house {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &house{catalog: c, now: begin()}
}

// begin is the start of an hour that is not over yet.
func begin() time.Time { return time.Now().UTC().Truncate(time.Hour) }

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *house) open(t *testing.T, server string) *usage.Ledger {
	t.Helper()
	l, err := usage.Open(t.Context(), h.catalog.Conn(), usage.Config{Server: server, Logger: slog.New(slog.DiscardHandler), Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (h *house) close(t *testing.T) {
	t.Helper()
	if err := h.catalog.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func query(t *testing.T, l *usage.Ledger, id tenant.ID, from, to time.Time) []usage.Minute {
	t.Helper()
	ms, err := l.Query(t.Context(), id, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

func flush(t *testing.T, ls ...*usage.Ledger) {
	t.Helper()
	for _, l := range ls {
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSumsByMinute(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "c"))
	defer h.close(t)
	one, two := h.open(t, "one"), h.open(t, "two")
	for range 3 { // three minutes, in each two servers that count
		one.Add(acme, usage.Sum{Requests: 2, Fuel: 10, Compute: time.Second, BytesIn: 5, BytesOut: 6, Records: 1})
		two.Add(acme, usage.Sum{Requests: 1, Failed: 1})
		one.Add(other, usage.Sum{Requests: 100})
		flush(t, one, two)
		h.pass(time.Minute)
	}
	want := make([]usage.Minute, 3)
	for i := range want {
		want[i] = usage.Minute{Start: begin().Add(time.Duration(i) * time.Minute), Sum: usage.Sum{
			Requests: 3, Failed: 1, Fuel: 10, Compute: time.Second, BytesIn: 5, BytesOut: 6, Records: 1,
		}}
	}
	got := query(t, two, acme, begin(), begin().Add(time.Hour))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := usage.Total(got); n.Requests != 9 {
		t.Errorf("total %+v", n)
	}
	part := query(t, one, acme, begin().Add(time.Minute), begin().Add(2*time.Minute))
	if diff := cmp.Diff(want[1:2], part); diff != "" {
		t.Errorf("a part of the time (-want +got):\n%s", diff)
	}
}

// TestRestart goes on with the hour that was begun before.
func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	for i := range 3 {
		h := newHouse(t, dir)
		l := h.open(t, "one")
		for range 5 {
			l.Add(acme, usage.Sum{Requests: 1})
			flush(t, l)
		}
		got := query(t, l, acme, begin(), begin().Add(time.Hour))
		if n := usage.Total(got).Requests; n != uint64(5*(i+1)) {
			t.Errorf("start %d: %d requests, want %d", i, n, 5*(i+1))
		}
		h.close(t)
	}
}

// TestHoursGo keeps no hour in memory that is over, and loses none.
func TestHoursGo(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "c"))
	defer h.close(t)
	l := h.open(t, "one")
	for range 4 {
		l.Add(acme, usage.Sum{Requests: 1})
		flush(t, l)
		h.pass(time.Hour)
	}
	flush(t, l)
	if n := l.Hours(); n != 0 {
		t.Errorf("%d hours are kept in memory", n)
	}
	if n := usage.Total(query(t, l, acme, begin(), begin().Add(24*time.Hour))).Requests; n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
}

// TestQueryWhileWriting asks while the hour that is asked for is written again and again: it counts once.
func TestQueryWhileWriting(t *testing.T) {
	h := newHouse(t, t.TempDir())
	defer h.close(t)
	l := h.open(t, "s1")
	var added atomic.Uint64
	const writes = 300
	done := make(chan error, 1)
	go func() {
		for range writes {
			added.Add(1)
			l.Add(acme, usage.Sum{Requests: 1})
			if err := l.Flush(t.Context()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for shown := uint64(0); shown < writes; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		default:
		}
		now := usage.Total(query(t, l, acme, begin(), begin().Add(2*time.Hour))).Requests
		if most := added.Load(); now < shown || now > most {
			t.Fatalf("%d requests are shown, %d were before, %d were made", now, shown, most)
		}
		shown = now
	}
}

func TestForget(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "c"))
	defer h.close(t)
	l := h.open(t, "one")
	l.Add(acme, usage.Sum{Requests: 1})
	l.Add(other, usage.Sum{Requests: 1})
	flush(t, l)
	l.Add(acme, usage.Sum{Requests: 1})
	if err := l.Forget(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	flush(t, l)
	if ms := query(t, l, acme, begin(), begin().Add(time.Hour)); len(ms) != 0 {
		t.Errorf("still there: %+v", ms)
	}
	if ms := query(t, l, other, begin(), begin().Add(time.Hour)); len(ms) != 1 {
		t.Errorf("another tenant's: %+v", ms)
	}
}

// TestRunWritesTheLast ends Run right after something was added.
func TestRunWritesTheLast(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "c"))
	defer h.close(t)
	l := h.open(t, "one")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	l.Add(acme, usage.Sum{Requests: 7})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := usage.Total(query(t, l, acme, begin(), begin().Add(time.Hour))).Requests; n != 7 {
		t.Errorf("%d requests, want 7", n)
	}
}

func TestBadArguments(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "c"))
	defer h.close(t)
	if _, err := usage.Open(t.Context(), h.catalog.Conn(), usage.Config{Server: "a.b"}); err == nil {
		t.Error("a bad configuration was taken")
	}
	l := h.open(t, "one")
	if _, err := l.Query(t.Context(), "a.>", begin(), begin()); !errors.Is(err, tenant.ErrName) {
		t.Errorf("got %v", err)
	}
}
