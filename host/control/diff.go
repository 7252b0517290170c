package control

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/tandem-serve/tandem/host/catalog"
)

// PinChange is one thing that two releases run differently. A zero Pin is none.
type PinChange struct{ From, To catalog.Pin }

// DiffDocuments compares the documents of two releases line by line, in the unified format; "" when they are equal.
func DiffDocuments(from, to catalog.Release) string {
	name := func(r catalog.Release) string { return fmt.Sprintf("%s@%d", r.Name, r.Version) }
	return string(diff.Diff(name(from), from.Document, name(to), to.Document))
}

// DiffPins returns what two releases run differently, by kind and name. References do not count, only what they mean.
func DiffPins(from, to []catalog.Pin) []PinChange {
	gone, come := pinsWithout(from, to), pinsWithout(to, from)
	changes := make([]PinChange, 0, len(gone)+len(come))
	for _, p := range gone {
		c := PinChange{From: p}
		// A release may run several versions of one thing, through graphs that it calls; they are paired in their order.
		if i := slices.IndexFunc(come, func(q catalog.Pin) bool { return q.Kind == p.Kind && q.Name == p.Name }); i >= 0 {
			c.To = come[i]
			come = slices.Delete(come, i, i+1)
		}
		changes = append(changes, c)
	}
	for _, p := range come {
		changes = append(changes, PinChange{To: p})
	}
	slices.SortStableFunc(changes, func(a, b PinChange) int {
		return cmp.Or(cmp.Compare(a.kind(), b.kind()), cmp.Compare(a.name(), b.name()))
	})
	return changes
}

func (c PinChange) kind() catalog.Kind { return cmp.Or(c.From.Kind, c.To.Kind) }
func (c PinChange) name() string       { return cmp.Or(c.From.Name, c.To.Name) }

// pinsWithout returns the pins of a that b does not have, each once and without how it was referred to.
func pinsWithout(a, b []catalog.Pin) []catalog.Pin {
	bare := func(p catalog.Pin) catalog.Pin {
		p.Ref = ""
		return p
	}
	has := make(map[catalog.Pin]bool, len(b))
	for _, p := range b {
		has[bare(p)] = true
	}
	var out []catalog.Pin
	for _, p := range a {
		if p = bare(p); !has[p] {
			has[p] = true
			out = append(out, p)
		}
	}
	return out
}
