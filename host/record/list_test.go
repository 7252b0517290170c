package record_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestListFilters(t *testing.T) {
	l, _ := open(t, t.TempDir(), record.Config{})
	var pending []*record.Pending
	for i := range 60 {
		p, err := l.Start(t.Context(), "acme", rec([]string{"a", "a.b", "c"}[i%3], []string{"g", "h"}[i%2], i))
		if err != nil {
			t.Fatal(err)
		}
		if pending = append(pending, p); i%20 == 0 {
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range pending {
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]record.Filter{
		"all":            {},
		"stream":         {Stream: "a"},
		"dotted stream":  {Stream: "a.b"},
		"no such stream": {Stream: "x"},
		"graph":          {Graphs: []string{"h"}},
		"graphs":         {Graphs: []string{"x", "h", "g"}},
		"no such graph":  {Graphs: []string{"x", "y"}},
		"both":           {Stream: "c", Graphs: []string{"g"}},
		"since":          {Since: testTime.Add(41 * time.Second)},
		"since, both":    {Stream: "a", Graphs: []string{"g"}, Since: testTime.Add(13 * time.Second)},
		"future":         {Since: time.Now().Add(time.Hour)},
	} {
		want := map[int]bool{}
		for i := range 60 {
			r := rec([]string{"a", "a.b", "c"}[i%3], []string{"g", "h"}[i%2], i)
			if (f.Stream == "" || f.Stream == r.Stream) && (len(f.Graphs) == 0 || slices.Contains(f.Graphs, r.Graph)) && !r.At.Before(f.Since) {
				want[i] = true
			}
		}
		for _, oldest := range []bool{false, true} {
			for _, limit := range []int{0, 1, 7} {
				f.OldestFirst, f.Limit = oldest, limit
				rs, _ := listAll(t, l, "acme", f)
				checkList(t, fmt.Sprint(name, oldest, limit), rs, want, oldest)
			}
		}
	}
}

// checkList fails unless rs are the records of the wanted numbers, each once, in the order of their ids.
func checkList(t *testing.T, what string, rs []record.Record, want map[int]bool, oldestFirst bool) {
	t.Helper()
	seen := map[int]bool{}
	last := map[string]int{}
	for n, i := range numbers(t, rs) {
		if !want[i] || seen[i] {
			t.Errorf("%s: record %d is not wanted", what, i)
		}
		seen[i] = true
		if n > 0 && (rs[n].ID > rs[n-1].ID) != oldestFirst {
			t.Errorf("%s: ids %s, %s are in the wrong order", what, rs[n-1].ID, rs[n].ID)
		}
		// within a stream records keep the order in which they were started
		if prev, ok := last[rs[n].Stream]; ok && (i > prev) != oldestFirst {
			t.Errorf("%s: %d comes after %d", what, i, prev)
		}
		last[rs[n].Stream] = i
	}
	if len(seen) != len(want) {
		t.Errorf("%s: got %d records, want %d", what, len(seen), len(want))
	}
}

func TestListRefuses(t *testing.T) {
	l, c := open(t, t.TempDir(), record.Config{})
	add(t, l, "acme", rec("s", "g", 1))
	for name, tc := range map[string]struct {
		tenant tenant.ID
		filter record.Filter
		want   error
	}{
		"tenant":     {"", record.Filter{}, tenant.ErrName},
		"wildcard":   {"*", record.Filter{}, tenant.ErrName},
		"stream":     {"acme", record.Filter{Stream: ">"}, tenant.ErrName},
		"limit":      {"acme", record.Filter{Limit: -1}, record.ErrInvalid},
		"token":      {"acme", record.Filter{Token: "x"}, record.ErrInvalid},
		"long token": {"acme", record.Filter{Token: strings.Repeat("0", 100) + "-0"}, record.ErrInvalid},
		"idx":        {"acme", record.Filter{Token: "0000000000000001-zz"}, record.ErrInvalid},
		"huge idx":   {"acme", record.Filter{Token: "0000000000000001-ffffffff"}, record.ErrInvalid},
	} {
		if _, _, err := l.List(t.Context(), tc.tenant, tc.filter); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	for _, token := range []string{"0000000000000000-0000", "ffffffffffffffff-0000", "0000000000000009-7fffffff"} {
		for _, oldest := range []bool{false, true} {
			if _, _, err := l.List(t.Context(), "acme", record.Filter{Token: token, OldestFirst: oldest}); err != nil {
				t.Errorf("token %s: %v", token, err)
			}
		}
	}
	c.Close(t.Context())
	if _, _, err := l.List(t.Context(), "acme", record.Filter{}); !errors.Is(err, record.ErrClosed) {
		t.Errorf("got %v, want %v", err, record.ErrClosed)
	}
}

// TestListIsBounded lists a few records among many with a small bound on what one List reads.
func TestListIsBounded(t *testing.T) {
	l, _ := open(t, t.TempDir(), record.Config{})
	l.SetMaxScan(4)
	want := map[int]bool{}
	for i := range 50 {
		graph := "g"
		if i%17 == 3 {
			graph, want[i] = "h", true
		}
		add(t, l, "acme", rec("s", graph, i))
	}
	for _, oldest := range []bool{false, true} {
		rs, pages := listAll(t, l, "acme", record.Filter{Graphs: []string{"h"}, OldestFirst: oldest})
		checkList(t, fmt.Sprint("oldest first ", oldest), rs, want, oldest)
		if pages != 13 {
			t.Errorf("got %d pages, want 13", pages)
		}
	}
}

// TestModel compares a Log with a slice over random calls.
func TestModel(t *testing.T) {
	_, c := open(t, t.TempDir(), record.Config{})
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &model{t: t, log: openOn(t, c, record.Config{}), catalog: c, tenant: tenant.ID(fmt.Sprint("t", runs))}
		rt.Repeat(map[string]func(*rapid.T){"append": m.append, "list": m.list, "reopen": m.reopen})
	})
}

type model struct {
	t       *testing.T
	catalog *catalog.Catalog
	log     *record.Log
	tenant  tenant.ID
	records []record.Record
}

var (
	genStream = rapid.SampledFrom([]string{"a", "a.b", "c"})
	genGraph  = rapid.SampledFrom([]string{"g", "h"})
)

// append starts some records at once, so that they share messages, and waits for all.
func (m *model) append(rt *rapid.T) {
	var pending []*record.Pending
	stream := genStream.Draw(rt, "stream") // one stream, so that their order is known
	for range rapid.IntRange(1, 9).Draw(rt, "n") {
		r := rec(stream, genGraph.Draw(rt, "graph"), len(m.records))
		p, err := m.log.Start(m.t.Context(), m.tenant, r)
		if err != nil {
			rt.Fatal(err)
		}
		pending, m.records = append(pending, p), append(m.records, r)
	}
	for _, p := range pending {
		if err := p.Wait(m.t.Context()); err != nil {
			rt.Fatal(err)
		}
	}
}

func (m *model) list(rt *rapid.T) {
	f := record.Filter{
		Stream: rapid.SampledFrom([]string{"", "a", "a.b", "x"}).Draw(rt, "stream"),
		Graphs: rapid.SampledFrom([][]string{nil, {"g"}, {"h", "x"}}).Draw(rt, "graphs"),
		Limit:  rapid.SampledFrom([]int{0, 3, 20}).Draw(rt, "limit"), OldestFirst: rapid.Bool().Draw(rt, "oldest first"),
	}
	if rapid.Bool().Draw(rt, "since") {
		f.Since = testTime.Add(time.Duration(rapid.IntRange(0, 40).Draw(rt, "seconds")) * time.Second)
	}
	var want []int
	for i, r := range m.records {
		if (f.Stream == "" || f.Stream == r.Stream) && (len(f.Graphs) == 0 || slices.Contains(f.Graphs, r.Graph)) && !r.At.Before(f.Since) {
			want = append(want, i)
		}
	}
	if !f.OldestFirst {
		slices.Reverse(want)
	}
	rs, _ := listAll(m.t, m.log, m.tenant, f)
	if got := numbers(m.t, rs); !slices.Equal(got, want) {
		rt.Fatalf("%+v: got %v, want %v", f, got, want)
	}
}

func (m *model) reopen(rt *rapid.T) {
	if err := m.log.Close(m.t.Context()); err != nil {
		rt.Fatal(err)
	}
	m.log = openOn(m.t, m.catalog, record.Config{})
}
