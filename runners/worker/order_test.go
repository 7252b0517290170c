package worker

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestBerthsGoToWhoHasFewest has processes of some tenants begin and end by chance.
func TestBerthsGoToWhoHasFewest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := &berths{most: rapid.IntRange(1, 6).Draw(rt, "most")}
		b.each = rapid.IntRange(1, b.most).Draw(rt, "each")
		tenant := rapid.Custom(func(rt *rapid.T) string { return fmt.Sprint("t", rapid.IntRange(0, 3).Draw(rt, "tenant")) })
		has, waiting := map[string]int{}, []*berthing(nil)
		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(rt *rapid.T) {
				name := tenant.Draw(rt, "of")
				b.mu.Lock()
				defer b.mu.Unlock()
				if b.freeLocked(name) {
					b.takeLocked(name)
					has[name]++
					return
				}
				w := &berthing{name, make(chan struct{}, 1)}
				b.waiting.PushBack(w)
				waiting = append(waiting, w)
			},
			"end": func(rt *rapid.T) {
				name := tenant.Draw(rt, "of")
				if has[name] == 0 {
					rt.Skip("it has none")
				}
				has[name]--
				b.give(name)
				at := slices.IndexFunc(waiting, func(w *berthing) bool { return len(w.ready) > 0 })
				for i, w := range waiting { // in the order in which they came
					switch {
					case i == at || has[w.tenant] >= b.each:
					case at < 0:
						rt.Fatalf("%s has %d and waits on though a berth is free", w.tenant, has[w.tenant])
					case len(w.ready) > 0:
						rt.Fatal("two were served")
					case has[w.tenant] < has[waiting[at].tenant] || has[w.tenant] == has[waiting[at].tenant] && i < at:
						rt.Fatalf("%s has %d and waits longer than %s, which had %d", w.tenant, has[w.tenant], waiting[at].tenant, has[waiting[at].tenant])
					}
				}
				if at >= 0 {
					has[waiting[at].tenant]++
					waiting = slices.Delete(waiting, at, at+1)
				}
			},
			"": func(rt *rapid.T) {
				n := 0
				for name, k := range has {
					n += k
					if k > b.each || b.by[name] != k {
						rt.Fatalf("%s has %d of %d, counted as %d", name, k, b.each, b.by[name])
					}
				}
				if n != b.taken || n > b.most {
					rt.Fatalf("%d of %d, counted as %d", n, b.most, b.taken)
				}
				if _, own := b.queued("t0"); own != (has["t0"] >= b.each) {
					rt.Fatalf("own is %v", own)
				}
			},
		})
	})
}
