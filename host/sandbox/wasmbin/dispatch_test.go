package wasmbin_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// dispatchModule has a table of entries of several types and of none, and a function for an indirect call of each type.
func dispatchModule(entries []int) build {
	b := build{
		types:  [][]byte{typ(i32, i32), typ(i32+i64, i64), typ("", ""), typ(i32+i32, i32), typ(i32+i32+i64, i64)},
		tables: [][]byte{cat([]byte{0x70, 0}, leb(uint32(len(entries))))},
		mems:   [][]byte{{0, 1}},
	}
	add := func(t byte, code ...byte) uint32 {
		b.funcs = append(b.funcs, []byte{t})
		b.codes = append(b.codes, body(nil, code...))
		return uint32(len(b.funcs) - 1)
	}
	// (index, argument) -> result, by type
	b.exports = append(b.exports,
		export("i", 0, add(3, 0x20, 1, 0x20, 0, 0x11, 0, 0)),
		export("l", 0, add(4, 0x20, 1, 0x20, 2, 0x20, 0, 0x11, 1, 0)),
		export("v", 0, add(0, 0x20, 0, 0x11, 2, 0, 0x41, 1)))
	for slot, t := range entries {
		var fn uint32
		switch n := byte(slot & 63); t {
		case 0:
			fn = add(0, 0x20, 0, 0x41, n, 0x6a)
		case 1:
			fn = add(1, 0x20, 1, 0x20, 0, 0xad, 0x42, n, 0x7c, 0x7c)
		case 2:
			fn = add(2)
		default:
			continue
		}
		b.elems = append(b.elems, cat([]byte{0, 0x41}, sleb(slot), []byte{0x0b, 1}, leb(fn)))
	}
	return b
}

// sleb encodes a number of less than 14 bits.
func sleb(n int) []byte { return []byte{byte(n) | 0x80, byte(n>>7) & 0x3f} }

// A table of dispatchers calls the same functions and traps in the same way.
func TestDispatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		entries := rapid.SliceOfN(rapid.SampledFrom([]int{-1, 0, 0, 1, 2}), 1, 200).Draw(rt, "entries")
		bin := dispatchModule(entries).bytes()
		m, err := wasmbin.Parse(bin, wasmbin.DefaultLimits(), nil)
		if err != nil {
			rt.Fatal(err)
		}
		w, err := m.Rewrite(options())
		if err != nil {
			rt.Fatal(err)
		}
		r := newRuntime(t, randomYield())
		plain, err := instantiate(t, r, bin, "")
		if err != nil {
			rt.Fatal(err)
		}
		metered, err := instantiate(t, r, w.Bin, "")
		if err != nil {
			rt.Fatal(err)
		}
		kinds := map[string]bool{}
		for _, i := range append([]uint64{1 << 31, 1<<32 - 1}, count(uint64(len(entries)+130))...) {
			for fn, args := range map[string][]uint64{"i": {i, 40}, "l": {i, 2, 70}, "v": {i}} {
				want := outcome(t.Context(), plain, fn, args)
				if got := outcome(t.Context(), metered, fn, args); got != want {
					rt.Errorf("%s %d: got %s, want %s", fn, i, got, want)
				}
				kinds[strings.SplitN(want, " ", 2)[0]] = true
			}
		}
		if !kinds["trap:"] {
			rt.Error(fmt.Sprint("nothing trapped: ", kinds))
		}
	})
}

// count returns the numbers below n.
func count(n uint64) (all []uint64) {
	for i := range n {
		all = append(all, i)
	}
	return all
}
