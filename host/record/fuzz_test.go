package record

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// FuzzPosition reads tokens of pages, which come from callers.
func FuzzPosition(f *testing.F) {
	for _, s := range []string{"", "0000000000000001-0000", position{seq: 1 << 60, idx: lastIdx}.String(), "1-0", "-", "g-g"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePosition(s)
		if err == nil && (p.String() != s || p.idx < 0 || p.idx > lastIdx) {
			t.Errorf("%q was read as %+v", s, p)
		}
	})
}

// FuzzMessage reads stored messages as a list does. Damage is an error; what is read is at most a page, in order, and after the
// position at which the page before ended.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"format":1,"records":[{"stream":"s","graph":"g","at":"2026-01-02T03:04:05Z","doc":{"a":1}},{"stream":"t","at":"2026-01-02T03:04:05Z","doc":[]}]}`), true, 1)
	f.Add([]byte(`{"format":1,"records":[{},{},{}]}`), false, -1)
	f.Add([]byte(`{"format":9}`), false, 0)
	f.Fuzz(func(t *testing.T, data []byte, oldestFirst bool, after int) {
		r := &reader{filter: Filter{Limit: 2, OldestFirst: oldestFirst, Since: time.Unix(0, 0)}}
		if after >= 0 {
			r.after = &position{seq: 7, idx: after}
		}
		last, err := r.take(&jetstream.RawStreamMsg{Sequence: 7, Data: data})
		if err != nil {
			if len(r.found) > 0 {
				t.Errorf("%d records of a damaged message", len(r.found))
			}
			return
		}
		if len(r.found) > 2 || (last != nil) != (len(r.found) == 2) {
			t.Fatalf("%d records, the last at %v", len(r.found), last)
		}
		for _, rec := range r.found {
			p, err := parsePosition(rec.ID)
			if err != nil || p.seq != 7 {
				t.Errorf("the record %q, %v", rec.ID, err)
			}
			if r.after != nil && (oldestFirst && p.idx <= after || !oldestFirst && p.idx >= after) {
				t.Errorf("the record %d is on a page after %d, oldest first %v", p.idx, after, oldestFirst)
			}
		}
	})
}
