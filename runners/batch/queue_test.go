package batch_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners/batch"
)

// Whatever is put in and taken out, the queue gives back each entry once, in batches of one shape within the rows, each
// tenant's of one shape and priority in their order, and its counts are right.
func TestQueueProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const maxRows = 8
		q := batch.NewLine(maxRows)
		type key struct {
			tenant, shape string
			priority      batch.Priority
		}
		waiting := map[int]batch.Entry{}
		removes := map[int]func(){}
		last := map[key]int{}
		id := 0
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id++
				e := batch.Entry{
					Tenant:   rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"),
					Shape:    rapid.SampledFrom([]string{"3", "5"}).Draw(t, "shape"),
					Priority: rapid.SampledFrom([]batch.Priority{batch.Low, batch.Normal, batch.High}).Draw(t, "priority"),
					Rows:     rapid.IntRange(0, maxRows+2).Draw(t, "rows"), ID: id,
				}
				waiting[id], removes[id] = e, q.Add(e)
			},
			"remove": func(t *rapid.T) {
				if len(waiting) == 0 {
					t.Skip()
				}
				ids := make([]int, 0, len(waiting))
				for i := range id + 1 {
					if _, ok := waiting[i]; ok {
						ids = append(ids, i)
					}
				}
				gone := rapid.SampledFrom(ids).Draw(t, "gone")
				removes[gone]()
				delete(waiting, gone)
			},
			"take": func(t *rapid.T) {
				taken := q.Take(maxRows)
				if (len(taken) == 0) != (len(waiting) == 0) {
					t.Fatalf("took %d of %d", len(taken), len(waiting))
				}
				rows := 0
				for _, e := range taken {
					if waiting[e.ID] != e || e.Shape != taken[0].Shape {
						t.Fatalf("took %+v after %+v, put in was %+v", e, taken[0], waiting[e.ID])
					}
					delete(waiting, e.ID)
					k := key{e.Tenant, e.Shape, e.Priority}
					if e.ID < last[k] {
						t.Fatalf("took %d after %d of %v", e.ID, last[k], k)
					}
					last[k] = e.ID
					rows += e.Rows
				}
				if rows > maxRows && len(taken) > 1 {
					t.Fatalf("took %d rows of at most %d", rows, maxRows)
				}
			},
			"": func(t *rapid.T) {
				rows, tenants, shapes := 0, map[string]bool{}, map[string]int{}
				for _, e := range waiting {
					rows += e.Rows
					tenants[e.Tenant] = true
					shapes[e.Shape] += e.Rows
				}
				full := 0
				for _, n := range shapes {
					if n >= maxRows {
						full++
					}
				}
				want := fmt.Sprint(len(waiting), rows, len(tenants), full)
				m, r, n, f := q.Counts()
				if got := fmt.Sprint(m, r, n, f); got != want {
					t.Fatalf("got the counts %s, want %s", got, want)
				}
			},
		})
	})
}

// While several tenants always have something waiting, each gets the same share of rows to within two batches: whatever the
// sizes of their requests are when these cannot share batches, and when they can, with sizes that leave no room over. Room
// that only the small requests of one tenant fit into goes to that tenant on top.
func TestQueueIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		maxRows := rapid.IntRange(1, 16).Draw(t, "rows")
		tenants := rapid.IntRange(2, 5).Draw(t, "tenants")
		shared := rapid.Bool().Draw(t, "shared")
		q := batch.NewLine(maxRows)
		sizes := make([]int, tenants)
		add := func(i int) {
			shape := "3"
			if !shared {
				shape = fmt.Sprint(i)
			}
			q.Add(batch.Entry{Tenant: fmt.Sprint(i), Shape: shape, Rows: sizes[i]})
		}
		for i := range tenants {
			if sizes[i] = rapid.IntRange(1, maxRows).Draw(t, "size"); shared {
				sizes[i] = sizes[0]
			}
			for range rapid.IntRange(maxRows, 3*maxRows).Draw(t, "backlog") {
				add(i)
			}
		}
		served := make([]int, tenants)
		for range 200 {
			for _, e := range q.Take(maxRows) {
				i := int(e.Tenant[0] - '0')
				served[i] += e.Rows
				add(i)
			}
		}
		least, most := served[0], served[0]
		for _, n := range served {
			least, most = min(least, n), max(most, n)
		}
		if most-least > 2*maxRows {
			t.Fatalf("tenants were served %v rows", served)
		}
	})
}

// Who has nothing waiting saves nothing up, and who leaves the queue empty does not get rid of what it used.
func TestQueueForgetsAndRemembers(t *testing.T) {
	t.Parallel()
	q := batch.NewLine(1)
	for i := range 100 { // a alone uses the model for long
		q.Add(batch.Entry{Tenant: "a", Shape: "3", Rows: 1, ID: i})
		q.Take(1)
	}
	for i := range 10 {
		q.Add(batch.Entry{Tenant: "a", Shape: "3", Rows: 1, ID: i})
		q.Add(batch.Entry{Tenant: "b", Shape: "3", Rows: 1, ID: i})
	}
	var first string
	for range 10 {
		first += q.Take(1)[0].Tenant
	}
	if first != "bababababa" && first != "ababababab" {
		t.Fatalf("turns were %s, want them to alternate", first)
	}
}
