package wasmbin_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// TestGenerated runs generated modules plain and rewritten; see [equivalent].
func TestGenerated(t *testing.T) {
	t.Parallel()
	n := 400
	if testing.Short() {
		n = 60
	}
	var stats equivStats
	for seed := range uint64(n) {
		rng := rand.New(rand.NewPCG(seed, 7))
		data := make([]byte, 50+rng.IntN(800))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		equivalent(t, data, &stats)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("modules %d, traps %d, yields %d, instructions executed %d, charged %d (%.2f times)", n, stats.traps, stats.yields,
		stats.executed, stats.charged, float64(stats.charged)/float64(stats.executed))
	if stats.traps > n/2 || stats.executed < int64(n)*50 || stats.yields < n {
		t.Error("the modules do too little")
	}
}

func FuzzEquivalence(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 8))
		data := make([]byte, 100*seed)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var stats equivStats
		equivalent(t, data[:min(len(data), 4096)], &stats)
	})
}

type equivStats struct {
	traps, yields     int
	executed, charged int64
}

// equivalent generates a module and checks that plain and rewritten form do the same: results or trap, memory and
// globals. It checks that fuel pays for every instruction that is executed, at most twice.
func equivalent(t *testing.T, data []byte, stats *equivStats) {
	t.Helper()
	b, sized := smithModule(data)
	bin := b.bytes()
	m, err := wasmbin.Parse(bin, wasmbin.DefaultLimits(), nil)
	if err != nil {
		t.Fatalf("the generator made a bad module: %v", err)
	}
	w, err := m.Rewrite(options())
	if err != nil {
		t.Fatalf("rewrite: %v", err)
	}
	rng := rand.New(rand.NewPCG(uint64(len(data)), 3))
	granted := int64(0)
	r := newRuntime(t, func(left int64) int64 {
		grant := rng.Int64N(500)
		granted += grant - left
		stats.yields++
		return grant
	})
	counted := runOnce(t, r, wasmbin.CountInstructions(m, "count"))
	plain := runOnce(t, r, bin)
	metered := runOnce(t, r, w.Bin)
	if diff := cmp.Diff(plain.state, counted.state); diff != "" {
		t.Fatalf("counted form differs:\n%s", diff)
	}
	if diff := cmp.Diff(plain.state, metered.state); diff != "" {
		t.Fatalf("metered form differs:\n%s", diff)
	}
	if strings.Contains(plain.state, "trap") {
		stats.traps++
		return
	}
	executed := int64(counted.mod.ExportedGlobal("count").Get())
	charged := granted - int64(fuelOf(metered.mod).Get())
	if charged < executed {
		t.Fatalf("charged %d for %d instructions", charged, executed)
	}
	if !sized {
		if charged > 2*executed {
			t.Fatalf("charged %d for %d instructions, want at most twice as many", charged, executed)
		}
		stats.executed += executed
		stats.charged += charged
	}
}

type run struct {
	mod   api.Module
	state string
}

// runOnce instantiates a module, calls run and describes all that can be seen of it.
func runOnce(t *testing.T, r wazero.Runtime, bin []byte) run {
	t.Helper()
	mod, err := instantiate(t, r, bin, "")
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	state := ""
	for _, arg := range []uint64{0, 7, 1 << 31} {
		state += outcome(t.Context(), mod, "run", []uint64{arg}) + "\n"
		if strings.Contains(state, "trap") {
			break
		}
	}
	h := fnv.New64()
	mem, _ := mod.Memory().Read(0, mod.Memory().Size())
	_, _ = h.Write(mem)
	state += fmt.Sprintf("memory %d bytes %x, globals %x %x", len(mem), h.Sum64(),
		mod.ExportedGlobal("a").Get(), mod.ExportedGlobal("b").Get())
	return run{mod, state}
}
