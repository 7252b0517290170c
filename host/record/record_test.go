package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/internal/crashtest"
)

var discard = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) {
	crashtest.Child(context.Background(), crashChild)
	flag.Parse()
	if testing.Short() {
		if err := flag.Set("rapid.checks", "15"); err != nil { // every step of a model syncs the disk
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// open opens a catalog and a log on it, which live as long as the test.
func open(t testing.TB, dir string, cfg record.Config) (*record.Log, *catalog.Catalog) {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Config{Dir: dir, Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(t.Context()) })
	return openOn(t, c, cfg), c
}

func openOn(t testing.TB, c *catalog.Catalog, cfg record.Config) *record.Log {
	t.Helper()
	cfg.Logger = discard
	l, err := record.Open(t.Context(), c.Conn(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.WithoutCancel(t.Context())) })
	return l
}

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func rec(stream, graph string, i int) record.Record {
	return record.Record{
		Stream: stream, Graph: graph, Release: 3, Node: "compare", RequestID: "r" + strconv.Itoa(i),
		At: testTime.Add(time.Duration(i) * time.Second), Doc: json.RawMessage(fmt.Sprintf(`{"i":%d}`, i)),
	}
}

func add(t testing.TB, l *record.Log, id tenant.ID, r record.Record) {
	t.Helper()
	if err := l.Append(t.Context(), id, r); err != nil {
		t.Fatal(err)
	}
}

// listAll lists page by page and returns the records and the number of pages.
func listAll(t testing.TB, l *record.Log, id tenant.ID, f record.Filter) ([]record.Record, int) {
	t.Helper()
	var all []record.Record
	for pages := 1; ; pages++ {
		rs, token, err := l.List(t.Context(), id, f)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, rs...); token == "" {
			return all, pages
		}
		f.Token = token
	}
}

// numbers returns the i of each record.
func numbers(t testing.TB, rs []record.Record) []int {
	t.Helper()
	var is []int
	for _, r := range rs {
		var doc struct{ I int }
		if err := json.Unmarshal(r.Doc, &doc); err != nil {
			t.Fatal(err)
		}
		is = append(is, doc.I)
	}
	return is
}

func TestAppendList(t *testing.T) {
	dir := t.TempDir()
	l, c := open(t, dir, record.Config{})
	if rs, token, err := l.List(t.Context(), "acme", record.Filter{}); len(rs) != 0 || token != "" || err != nil {
		t.Fatalf("before the first record: got %v, %q, %v", rs, token, err)
	}
	r := rec("side-by-side", "g", 1)
	r.Doc = json.RawMessage(`{"text":"<ünï & \u2028>","n":1.50}`)
	add(t, l, "acme", r)
	add(t, l, "other", rec("side-by-side", "g", 2))
	l.Close(t.Context())
	c.Close(t.Context())
	l, _ = open(t, dir, record.Config{})
	rs, token, err := l.List(t.Context(), "acme", record.Filter{})
	if err != nil || token != "" || len(rs) != 1 {
		t.Fatalf("got %v, %q, %v; want one record", rs, token, err)
	}
	if rs[0].ID == "" {
		t.Error("no id")
	}
	rs[0].ID = ""
	if diff := cmp.Diff(r, rs[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAppendRefuses(t *testing.T) {
	l, _ := open(t, t.TempDir(), record.Config{MaxDocBytes: 100})
	for name, tc := range map[string]struct {
		tenant tenant.ID
		change func(*record.Record)
		want   error
	}{
		"tenant":     {"", func(*record.Record) {}, tenant.ErrName},
		"stream":     {"acme", func(r *record.Record) { r.Stream = "*" }, tenant.ErrName},
		"no stream":  {"acme", func(r *record.Record) { r.Stream = "" }, tenant.ErrName},
		"no doc":     {"acme", func(r *record.Record) { r.Doc = nil }, record.ErrInvalid},
		"no JSON":    {"acme", func(r *record.Record) { r.Doc = []byte("{}{}") }, record.ErrInvalid},
		"large":      {"acme", func(r *record.Record) { r.Doc = []byte(`"` + strings.Repeat("x", 99) + `"`) }, record.ErrTooLarge},
		"long graph": {"acme", func(r *record.Record) { r.Graph = strings.Repeat("x", 257) }, record.ErrInvalid},
	} {
		r := rec("s", "g", 1)
		tc.change(&r)
		if err := l.Append(t.Context(), tc.tenant, r); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	r := rec("s", "g", 1)
	r.At = time.Time{}
	add(t, l, "acme", r)
	rs, _ := listAll(t, l, "acme", record.Filter{})
	if len(rs) != 1 || time.Since(rs[0].At) > time.Minute {
		t.Errorf("got %+v, want one record of now", rs)
	}
}

// TestLargeRecords has records that fill many messages at once, with the bytes that JSON writes longest.
func TestLargeRecords(t *testing.T) {
	l, _ := open(t, t.TempDir(), record.Config{})
	doc := json.RawMessage(`"` + strings.Repeat("<&>\u2028", 200<<10/6) + `"`)
	var pending []*record.Pending
	for i := range 40 {
		r := rec("s", strings.Repeat("\x01", 256), i)
		r.Doc = doc
		p, err := l.Start(t.Context(), "acme", r)
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	for _, p := range pending {
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rs, _ := listAll(t, l, "acme", record.Filter{OldestFirst: true})
	if len(rs) != 40 {
		t.Fatalf("got %d records, want 40", len(rs))
	}
	for i, r := range rs {
		var got, want string
		if err := errors.Join(json.Unmarshal(r.Doc, &got), json.Unmarshal(doc, &want)); err != nil || got != want || r.RequestID != fmt.Sprint("r", i) {
			t.Fatalf("record %d is %s with a document of %d bytes, %v", i, r.RequestID, len(r.Doc), err)
		}
	}
}

func TestLimits(t *testing.T) {
	l, c := open(t, t.TempDir(), record.Config{MaxBytes: 64 << 10})
	for i := range 300 {
		r := rec("s", "g", i)
		r.Doc = json.RawMessage(fmt.Sprintf(`{"i":%d,"x":%q}`, i, strings.Repeat("x", 1000)))
		add(t, l, "acme", r)
	}
	rs, _ := listAll(t, l, "acme", record.Filter{})
	is := numbers(t, rs)
	if len(is) < 30 || len(is) > 64 || is[0] != 299 || is[len(is)-1] != 300-len(is) {
		t.Fatalf("got %d records, %v; want the last ones", len(is), is)
	}
	// a page that goes on where the records are gone by now
	_, token, err := l.List(t.Context(), "acme", record.Filter{OldestFirst: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		r := rec("s", "g", 300+i)
		r.Doc = json.RawMessage(fmt.Sprintf(`{"i":%d,"x":%q}`, 300+i, strings.Repeat("x", 1000)))
		add(t, l, "acme", r)
	}
	next, _, err := l.List(t.Context(), "acme", record.Filter{OldestFirst: true, Limit: 1, Token: token})
	if err != nil || len(next) != 1 || numbers(t, next)[0] < 300 {
		t.Errorf("got %v, %v; want the oldest that is left", next, err)
	}
	l.Close(t.Context())

	// the limits are today's, and records go for their age
	l = openOn(t, c, record.Config{MaxAge: time.Second})
	add(t, l, "acme", rec("s", "g", 1000))
	deadline := time.Now().Add(30 * time.Second)
	for len(rs) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d records are left", len(rs))
		}
		rs, _ = listAll(t, l, "acme", record.Filter{})
		_, _ = listAll(t, l, "acme", record.Filter{OldestFirst: true, Since: testTime.Add(time.Second)})
	}
}

func TestConfig(t *testing.T) {
	_, c := open(t, t.TempDir(), record.Config{})
	for name, cfg := range map[string]record.Config{
		"no logger": {}, "bytes": {Logger: discard, MaxBytes: -1}, "doc": {Logger: discard, MaxDocBytes: 2 << 20},
		"queue": {Logger: discard, MaxQueued: -1},
	} {
		if _, err := record.Open(t.Context(), c.Conn(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestClose has callers append while the log is closed: what was acknowledged is there, the others know.
func TestClose(t *testing.T) {
	l, c := open(t, t.TempDir(), record.Config{MaxQueued: 4})
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[int]bool{}
	for w := range 8 {
		wg.Go(func() {
			for i := w; ; i += 8 {
				err := l.Append(t.Context(), "acme", rec("s", "g", i))
				if errors.Is(err, record.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[i] = true
				mu.Unlock()
			}
		})
	}
	for n := 0; n < 100; {
		mu.Lock()
		n = len(acked)
		mu.Unlock()
	}
	if err := errors.Join(l.Close(t.Context()), l.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if _, err := l.Start(t.Context(), "acme", rec("s", "g", 1)); !errors.Is(err, record.ErrClosed) {
		t.Errorf("got %v, want %v", err, record.ErrClosed)
	}
	rs, _ := listAll(t, openOn(t, c, record.Config{}), "acme", record.Filter{})
	for _, i := range numbers(t, rs) {
		delete(acked, i)
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged records are missing", len(acked))
	}
}

// TestStoreGone closes the catalog under a log: every caller hears about it, and none waits for ever.
func TestStoreGone(t *testing.T) {
	l, c := open(t, t.TempDir(), record.Config{})
	add(t, l, "acme", rec("s", "g", 1))
	c.Close(t.Context())
	for i := range 10 {
		if err := l.Append(t.Context(), "acme", rec("s", "g", i)); !errors.Is(err, record.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, record.ErrUnavailable)
		}
	}
}

func TestContexts(t *testing.T) {
	l, _ := open(t, t.TempDir(), record.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Append(ctx, "acme", rec("s", "g", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, _, err := l.List(ctx, "acme", record.Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestManyTenants appends for many tenants at once; each lists its own records only.
func TestManyTenants(t *testing.T) {
	l, _ := open(t, t.TempDir(), record.Config{})
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			for i := range 10 {
				if err := l.Append(t.Context(), tenant.ID(fmt.Sprint("t", n)), rec("s", "g", n*100+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for n := range 20 {
		rs, _ := listAll(t, l, tenant.ID(fmt.Sprint("t", n)), record.Filter{OldestFirst: true})
		want := []int{}
		for i := range 10 {
			want = append(want, n*100+i)
		}
		if diff := cmp.Diff(want, numbers(t, rs)); diff != "" {
			t.Errorf("tenant %d (-want +got):\n%s", n, diff)
		}
	}
}
