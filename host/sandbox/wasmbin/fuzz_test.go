package wasmbin_test

import (
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// Bounds that hold for every input.
const (
	maxAllocFactor  = 256 // bytes allocated by Parse for each byte of input
	maxAllocBase    = 1 << 20
	maxOutputFactor = 64 // bytes of output for each byte of input
	maxOutputBase   = 1 << 12
	maxParseTime    = 10 * time.Second // generous: fuzzing machines are busy
)

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// fuzzImports is a host with two functions.
func fuzzImports() []wasmbin.Import {
	return []wasmbin.Import{
		{Module: "tdm1", Name: "now_ns", Results: []wasmbin.ValueType{wasmbin.I64}},
		{Module: "tdm1", Name: "log", Params: []wasmbin.ValueType{wasmbin.I32, wasmbin.I32, wasmbin.I32}},
	}
}

// seeds adds the modules of this package's tests.
func seeds(f *testing.F) {
	f.Helper()
	for _, pattern := range []string{"testdata/kernels/*.wasm", "../sandboxtest/testdata/corpus/*.wasm"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			bin, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(bin)
		}
	}
	for _, m := range sampleModules() {
		f.Add(m.bytes())
	}
}

// sampleModules are small valid modules that between them use every kind of section and charge.
func sampleModules() []build {
	full := build{
		types:   [][]byte{typ("", ""), typ(i32, i32), typ("", i32+i64+f64), typ("", i64), typ(i32+i32+i32, "")},
		imports: [][]byte{cat(name("tdm1"), name("now_ns"), []byte{0, 3}), cat(name("tdm1"), name("log"), []byte{0, 4})},
		funcs:   [][]byte{{0}, {1}, {2}, {0}},
		tables:  [][]byte{{0x70, 1, 2, 9}},
		mems:    [][]byte{{1, 1, 3}},
		globals: [][]byte{{0x7f, 1, 0x41, 5, 0x0b}, {0x7e, 0, 0x42, 6, 0x0b}, {0x7c, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b}},
		exports: [][]byte{export("run", 0, 3), export("memory", 2, 0), export("counter", 3, 0)},
		start:   []byte{2},
		elems:   [][]byte{{0, 0x41, 0, 0x0b, 2, 2, 3}, {4, 0x41, 0, 0x0b, 2, 0xd2, 3, 0x0b, 0xd0, 0x70, 0x0b}},
		count:   []byte{2},
		codes: [][]byte{
			body(nil, 0x23, 0, 0x41, 1, 0x6a, 0x24, 0), // counter++
			body([]byte{1, 2, 0x7f}, // loop with a call and bulk operations
				0x03, 0x40,
				0x10, 2, 0x41, 0, 0x41, 0, 0x41, 16, 0xfc, 11, 0,
				0x41, 0, 0x41, 0, 0x41, 2, 0xfc, 8, 1, 0,
				0x20, 1, 0x41, 1, 0x6a, 0x22, 1, 0x20, 0, 0x48, 0x0d, 0, 0x0b,
				0x20, 0, 0x41, 0, 0x11, 0, 0,
			),
			body([]byte{1, 1, 0x7f}, // several results, a small loop, a br_table
				0x03, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41, 10, 0x48, 0x0d, 0, 0x0b,
				0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, 0x0b,
				0x41, 1, 0x42, 2, 0x44, 0, 0, 0, 0, 0, 0, 0, 0,
			),
			body(nil, 0x41, 1, 0x40, 0, 0x1a, 0x41, 0, 0x41, 0, 0x41, 1, 0xfc, 14, 0, 0, 0xfc, 9, 1),
		},
		datas: [][]byte{{0, 0x41, 8, 0x0b, 2, 1, 2}, {1, 3, 1, 2, 3}},
	}
	return []build{{}, full, void(), function(typ(i64, f32), []byte{1, 3, 0x7b}, 0x43, 0, 0, 0, 0)}
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, bin []byte) {
		before, start := allocated(), time.Now()
		m, err := wasmbin.Parse(bin, wasmbin.DefaultLimits(), fuzzImports())
		if d := time.Since(start); d > maxParseTime {
			t.Errorf("parsing %d bytes took %v", len(bin), d)
		}
		if got, most := allocated()-before, uint64(maxAllocBase+maxAllocFactor*len(bin)); got > most {
			t.Errorf("parsing %d bytes allocated %d, at most %d are expected", len(bin), got, most)
		}
		if (m == nil) == (err == nil) {
			t.Errorf("got module %v and error %v", m, err)
		}
		for _, e := range wasmbin.Reasons(err) {
			if e.Offset > len(bin) || e.Code == "" || e.Text == "" {
				t.Errorf("bad reason %+v", e)
			}
		}
	})
}

func FuzzRewrite(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, bin []byte) {
		m, err := wasmbin.Parse(bin, wasmbin.DefaultLimits(), fuzzImports())
		if err != nil {
			return
		}
		w, err := m.Rewrite(options())
		if err != nil {
			if !isReserved(err) {
				t.Errorf("an admitted module cannot be rewritten: %v", err)
			}
			return
		}
		if most := maxOutputBase + maxOutputFactor*len(bin); len(w.Bin) > most {
			t.Errorf("%d bytes became %d", len(bin), len(w.Bin))
		}
		r := newRuntime(t, randomYield())
		if _, err := r.CompileModule(t.Context(), w.Bin); err != nil {
			t.Errorf("rewritten: %v", err)
		}
		lo, _, _ := m.Memory()
		baked, err := w.Bake(wasmbin.Snapshot{Pages: lo, Globals: make([]uint64, len(w.Globals))})
		if err != nil {
			if !m.MutatesTables() && !m.DropsSegments() {
				t.Errorf("bake: %v", err)
			}
			return
		}
		if _, err := r.CompileModule(t.Context(), baked); err != nil {
			t.Errorf("baked: %v", err)
		}
	})
}

func isReserved(err error) bool {
	for _, e := range wasmbin.Reasons(err) {
		if e.Code != wasmbin.CodeReserved {
			return false
		}
	}
	return true
}
