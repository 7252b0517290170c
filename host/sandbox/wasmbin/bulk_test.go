package wasmbin_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

const (
	bulkPages = 32
	bulkChunk = 256 << 10
)

// bulkModule exports each bulk operation as a function.
func bulkModule() []byte {
	get3 := []byte{0x20, 0, 0x20, 1, 0x20, 2}
	return build{
		types:   [][]byte{typ(i32+i32+i32, ""), typ(i32, i32)},
		funcs:   [][]byte{{0}, {0}, {0}, {1}, {0}},
		tables:  [][]byte{{0x70, 0, 8}},
		mems:    [][]byte{{1, bulkPages, bulkPages + 4}},
		exports: [][]byte{export("fill", 0, 0), export("copy", 0, 1), export("init", 0, 2), export("grow", 0, 3), export("tcopy", 0, 4), export("memory", 2, 0)},
		count:   []byte{1},
		codes: [][]byte{
			body(nil, cat(get3, []byte{0xfc, 11, 0})...),
			body(nil, cat(get3, []byte{0xfc, 10, 0, 0})...),
			body(nil, cat(get3, []byte{0xfc, 8, 0, 0})...),
			body(nil, 0x20, 0, 0x40, 0),
			body(nil, cat(get3, []byte{0xfc, 14, 0, 0})...),
		},
		datas: [][]byte{{1, 5, 1, 2, 3, 4, 5}},
	}.bytes()
}

// bulkPair instantiates the module plain and metered; yields counts the yields.
func bulkPair(t testing.TB, yields *int, charged *int64) (plain, metered api.Module) {
	t.Helper()
	r := newRuntime(t, func(left int64) int64 {
		*yields++
		*charged -= left
		return 0
	})
	m, err := wasmbin.Parse(bulkModule(), wasmbin.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Rewrite(options())
	if err != nil {
		t.Fatal(err)
	}
	for i, bin := range [][]byte{bulkModule(), w.Bin} {
		mod, err := instantiate(t, r, bin, "")
		if err != nil {
			t.Fatal(err)
		}
		mem, _ := mod.Memory().Read(0, mod.Memory().Size())
		for k := range mem {
			mem[k] = byte(k>>16) ^ byte(k*7)
		}
		if i == 0 {
			plain = mod
		} else {
			metered = mod
		}
	}
	return plain, metered
}

// TestBulk makes fills and copies of all sizes and overlaps plain and metered: memory and traps must be the same.
func TestBulk(t *testing.T) {
	t.Parallel()
	var yields int
	var charged int64
	plain, metered := bulkPair(t, &yields, &charged)
	near := func(t *rapid.T, label string) uint64 {
		base := rapid.SampledFrom([]int{0, bulkChunk, 2 * bulkChunk, 3 * bulkChunk, bulkPages << 16, 5}).Draw(t, label)
		return uint64(uint32(base + rapid.IntRange(-40, 40).Draw(t, label+"+")))
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom([]string{"fill", "copy"}).Draw(rt, "op")
		args := []uint64{near(rt, "dst"), near(rt, "src"), near(rt, "n")}
		want := outcome(t.Context(), plain, name, args)
		got := outcome(t.Context(), metered, name, args)
		a, _ := plain.Memory().Read(0, plain.Memory().Size())
		b, _ := metered.Memory().Read(0, metered.Memory().Size())
		if got != want || !bytes.Equal(a, b) {
			rt.Fatalf("%s%v: got %s, want %s; memories equal: %v", name, args, got, want, bytes.Equal(a, b))
		}
	})
}

func TestBulkCharges(t *testing.T) {
	t.Parallel()
	const overhead = 64
	tests := []struct {
		name   string
		args   []uint64
		least  int64
		yields int // at least
	}{
		{"fill", []uint64{0, 1, 0}, 0, 1},
		{"fill", []uint64{0, 1, 4096}, 4096 / 16, 1},
		{"fill", []uint64{0, 1, bulkChunk}, bulkChunk / 16, 1},
		{"fill", []uint64{0, 1, 4 * bulkChunk}, 3*bulkChunk/4 + bulkChunk/16, 4},
		{"copy", []uint64{0, 100, 4 * bulkChunk}, 3*bulkChunk/4 + bulkChunk/16, 4},
		{"copy", []uint64{100, 0, 4 * bulkChunk}, 3*bulkChunk/4 + bulkChunk/16, 4},
		{"copy", []uint64{math.MaxUint32, 0, math.MaxUint32}, math.MaxUint32 / 16, 1},
		{"init", []uint64{0, 0, 5}, 0, 1},
		{"init", []uint64{0, 0, 1 << 20}, 1 << 16, 1},
		{"tcopy", []uint64{0, 1, 4}, 2, 1},
		{"grow", []uint64{2}, 2 << 12, 1},
		{"grow", []uint64{math.MaxUint32}, (bulkPages + 4) << 12, 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.name, tt.args), func(t *testing.T) {
			t.Parallel()
			var yields int
			var charged int64
			plain, metered := bulkPair(t, &yields, &charged)
			want := outcome(t.Context(), plain, tt.name, tt.args)
			got := outcome(t.Context(), metered, tt.name, tt.args)
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			charged -= int64(fuelOf(metered).Get())
			if charged < tt.least || charged > tt.least+overhead || yields < tt.yields {
				t.Errorf("charged %d in %d yields, want %d and at least %d", charged, yields, tt.least, tt.yields)
			}
			if strings.HasPrefix(got, "trap") && !strings.Contains(got, "out of bounds") {
				t.Errorf("unexpected %s", got)
			}
		})
	}
}
