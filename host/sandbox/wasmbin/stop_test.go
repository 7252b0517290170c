package wasmbin_test

import (
	"bytes"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// metered instantiates a metered module.
func metered(t *testing.T, r wazero.Runtime, b build) api.Module {
	t.Helper()
	m, err := wasmbin.Parse(b.bytes(), wasmbin.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Rewrite(options())
	if err != nil {
		t.Fatal(err)
	}
	mod, err := instantiate(t, r, w.Bin, "")
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

// stopped calls a module's function f, which has fuel for ever but is to stop at every check, and returns how often it did.
func stopped(t *testing.T, b build) (yields int) {
	t.Helper()
	mod := metered(t, newRuntime(t, func(int64) int64 {
		yields++
		return math.MaxInt64 - 1
	}), b)
	fuelOf(mod).Set(math.MaxInt64 - 1)
	stop(mod)
	if got := outcome(t.Context(), mod, "f", nil); strings.Contains(got, "trap") {
		t.Fatal(got)
	}
	return yields
}

// stop sets a module's stop global.
func stop(mod api.Module) {
	g, _ := mod.ExportedGlobal(options().StopGlobal).(api.MutableGlobal)
	g.Set(math.MaxInt64)
}

// A loop ends when the host wants it to, however much fuel is left.
func TestStopWhileRunning(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("the loop leaves no processor to stop it from")
	}
	// A collection would wait for the loop, and what stops the loop for the collection.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	const fuel = 1 << 34 // some seconds
	left := int64(0)
	r := newRuntime(t, func(n int64) int64 {
		left = n
		panic(sys.NewExitError(7))
	})
	mod := metered(t, r, void(0x03, 0x40, 0x0c, 0, 0x0b)) // loop br 0 end
	fuelOf(mod).Set(fuel)
	running := make(chan struct{})
	go func() {
		<-running
		stop(mod)
	}()
	close(running)
	if got := outcome(t.Context(), mod, "f", nil); !strings.Contains(got, "exit_code(7)") || left <= 0 {
		t.Errorf("got %s with %d left of %d, want the exit of the yield before that", got, left, fuel)
	}
}

// Code without loops has checks too: no more than 256 accesses to memory are made without one.
func TestStopInStraightCode(t *testing.T) {
	t.Parallel()
	loads := func(n int) []byte { return bytes.Repeat([]byte{0x41, 0, 0x28, 0, 0, 0x1a}, n) } // i32.const 0 i32.load drop
	skip := func(code []byte) []byte {                                                        // block i32.const 1 br_if 0 code end
		return cat([]byte{0x02, 0x40, 0x41, 1, 0x0d, 0}, code, []byte{0x0b})
	}
	for _, c := range []struct {
		name string
		code []byte
		want int
	}{
		{"few", loads(10), 0},
		{"not that many", loads(200), 1},
		{"many", loads(1000), 4},
		{"many in a branch", cat([]byte{0x41, 1, 0x04, 0x40}, loads(1000), []byte{0x05}, loads(1000), []byte{0x0b}), 4},
		{"many beside branches that are not taken", bytes.Repeat(cat(loads(100), skip(loads(200))), 10), 4},
		{"many behind a loop that is passed by", cat(skip([]byte{0x03, 0x40, 0x0b}), loads(300)), 2},
	} {
		if yields := stopped(t, void(c.code...)); yields < c.want || yields > c.want+10 {
			t.Errorf("%s: got %d yields, want %d", c.name, yields, c.want)
		}
	}
}

// Calls count as well.
func TestStopInCalls(t *testing.T) {
	t.Parallel()
	b := void(bytes.Repeat([]byte{0x10, 1}, 100)...) // call 1
	b.funcs = append(b.funcs, []byte{0})
	b.exports = append(b.exports, export("g", 0, 1))
	b.codes = append(b.codes, body(nil, bytes.Repeat([]byte{0x41, 0, 0x28, 0, 0, 0x1a}, 16)...))
	if yields := stopped(t, b); yields < 1+100/16 {
		t.Errorf("got %d yields, want at least %d", yields, 1+100/16)
	}
}
