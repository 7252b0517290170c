package control

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/catalog"
)

// Nobody is told an older revision of a graph than somebody was told before, however askers, publications and changes that are
// heard of late follow on each other.
func TestRoutesOnlyMoveOn(t *testing.T) {
	g := graphKey{"acme", "g"}
	type asker struct {
		asks   bool
		before uint64 // the epoch when it asked
		told   uint64 // by the catalog; 0 before it answered
		atAsk  uint64 // what somebody had been told when it asked
	}
	rapid.Check(t, func(t *rapid.T) {
		m := New(Config{})
		written, told := uint64(1), uint64(0)
		askers := make([]asker, 2)
		tell := func(rev, atLeast uint64) {
			if rev < atLeast {
				t.Fatalf("revision %d was told after %d", rev, atLeast)
			}
			told = max(told, rev)
		}
		one := rapid.IntRange(0, len(askers)-1)
		t.Repeat(map[string]func(*rapid.T){
			"call": func(t *rapid.T) {
				a := &askers[one.Draw(t, "who")]
				if a.asks {
					t.Skip()
				}
				if r := m.routes[g]; r != nil {
					tell(r.rev, told)
					return
				}
				*a = asker{asks: true, before: m.epoch[g], atAsk: told}
			},
			"the catalog answers": func(t *rapid.T) {
				a := &askers[one.Draw(t, "who")]
				if !a.asks || a.told != 0 {
					t.Skip()
				}
				a.told = written
			},
			"take in": func(t *rapid.T) {
				a := &askers[one.Draw(t, "who")]
				if a.told == 0 {
					t.Skip()
				}
				m.learnLocked(g, &route{rev: a.told}, a.before)
				tell(a.told, a.atAsk)
				*a = asker{}
			},
			"publish here": func(*rapid.T) {
				written++
				m.moved(g.tenant, catalog.Graph{Name: g.name, Revision: written})
			},
			"publish elsewhere": func(*rapid.T) { written++ },
			"hear of a change":  func(*rapid.T) { m.forget(g) },
		})
	})
}

// Two ask while a change is heard of; the one who asked first is answered later, and is told more than the other one keeps.
func TestRouteThatIsOlderIsNotKept(t *testing.T) {
	g, m := graphKey{"acme", "g"}, New(Config{})
	first := m.epoch[g]
	m.forget(g)
	second := m.epoch[g]
	m.learnLocked(g, &route{rev: 26}, second)
	m.learnLocked(g, &route{rev: 27}, first)
	if r := m.routes[g]; r != nil && r.rev < 27 {
		t.Errorf("calls go where revision %d says after somebody was told 27", r.rev)
	}
}
