package wasmbin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// The WebAssembly core test-suite, as wazero's module carries it built. Every module that our feature set admits runs
// in three forms: as it is, rewritten, and rewritten and baked after its instantiation. All must give the same results
// and the same traps, while fuel runs out at pseudo-random places.

// specStats counts what a run of the suite did, so that it cannot pass by doing nothing.
type specStats struct {
	modules, admitted, baked, results, traps, refused atomic.Int64
}

func TestSpecSuite(t *testing.T) {
	t.Parallel()
	dir := specDir(t)
	var stats specStats
	t.Run("all", func(t *testing.T) {
		for _, version := range []string{"v1", "v2"} {
			files, err := filepath.Glob(filepath.Join(dir, version, "testdata", "*.json"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no suite in %s: %v", dir, err)
			}
			for i, file := range files {
				if testing.Short() && i%8 != 0 {
					continue
				}
				t.Run(version+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
					t.Parallel()
					runSpecFile(t, file, filepath.Join(dir, "testdata", "spectest.wasm"), &stats)
				})
			}
		}
	})
	t.Logf("modules %d, admitted %d, baked %d, results compared %d, traps compared %d, invalid modules refused %d",
		stats.modules.Load(), stats.admitted.Load(), stats.baked.Load(), stats.results.Load(), stats.traps.Load(), stats.refused.Load())
	if testing.Short() {
		return
	}
	for _, c := range []struct {
		what     string
		got, min int64
	}{
		{"admitted modules", stats.admitted.Load(), 2_000},
		{"baked modules", stats.baked.Load(), 2_000},
		{"results", stats.results.Load(), 60_000},
		{"traps", stats.traps.Load(), 1_500},
		{"refused modules", stats.refused.Load(), 4_500},
	} {
		if c.got < c.min {
			t.Errorf("%s: got %d, want at least %d", c.what, c.got, c.min)
		}
	}
}

func specDir(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("find wazero: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

type specCommand struct {
	Type       string `json:"type"`
	Line       int    `json:"line"`
	Name       string `json:"name"`
	Filename   string `json:"filename"`
	As         string `json:"as"`
	ModuleType string `json:"module_type"`
	Action     struct {
		Type   string      `json:"type"`
		Module string      `json:"module"`
		Field  string      `json:"field"`
		Args   []specValue `json:"args"`
	} `json:"action"`
}

type specValue struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"`
}

// specWorld is one runtime with one form of every module.
type specWorld struct {
	r       wazero.Runtime
	modules map[string]api.Module
	last    api.Module
}

type specFile struct {
	t        *testing.T
	dir      string
	stats    *specStats
	worlds   [3]*specWorld
	wreckage bool // the last module is not there in all worlds
}

func runSpecFile(t *testing.T, file, spectest string, stats *specStats) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Commands []specCommand `json:"commands"`
	}
	if err := json.Unmarshal(raw, &suite); err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile(spectest)
	if err != nil {
		t.Fatal(err)
	}
	f := &specFile{t: t, dir: filepath.Dir(file), stats: stats}
	for i := range f.worlds {
		r := newRuntime(t, randomYield())
		if _, err := r.Instantiate(t.Context(), host); err != nil {
			t.Fatalf("spectest: %v", err)
		}
		f.worlds[i] = &specWorld{r: r, modules: map[string]api.Module{}}
	}
	for i, c := range suite.Commands {
		as := ""
		if next := i + 1; next < len(suite.Commands) && suite.Commands[next].Type == "register" {
			as = suite.Commands[next].As
		}
		f.command(c, as)
	}
}

func (f *specFile) command(c specCommand, as string) {
	f.t.Helper()
	switch c.Type {
	case "module":
		f.module(c, as)
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		if c.Action.Type == "invoke" {
			f.invoke(c)
		}
	case "assert_malformed", "assert_invalid":
		if c.ModuleType != "text" {
			f.refuse(c)
		}
	}
}

// refuse checks that an invalid module is refused.
func (f *specFile) refuse(c specCommand) {
	bin, err := os.ReadFile(filepath.Join(f.dir, c.Filename))
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.worlds[0].r.CompileModule(f.t.Context(), bin); err == nil {
		return // invalid only in a version without multi-value
	}
	if _, err := wasmbin.Parse(bin, specLimits(), nil); err == nil {
		f.t.Errorf("line %d: %s (%s) was admitted", c.Line, c.Filename, c.Type)
	}
	f.stats.refused.Add(1)
}

func specLimits() wasmbin.Limits {
	lim := wasmbin.DefaultLimits()
	lim.TableEntries = 1 << 24
	lim.Locals = 50_000
	return lim
}

func (f *specFile) module(c specCommand, as string) {
	f.stats.modules.Add(1)
	f.wreckage = true
	for _, w := range f.worlds {
		delete(w.modules, c.Name)
	}
	bin, err := os.ReadFile(filepath.Join(f.dir, c.Filename))
	if err != nil {
		f.t.Fatal(err)
	}
	forms := f.forms(c, bin)
	if forms == nil {
		return
	}
	for i, form := range forms {
		mod, err := form(f.worlds[i].r, as)
		if err != nil {
			if i > 0 {
				f.t.Errorf("line %d: form %d of %s: %v", c.Line, i, c.Filename, err)
			}
			return // cannot be instantiated here: imports what was not admitted
		}
		f.worlds[i].last = mod
	}
	f.wreckage = false
	f.stats.admitted.Add(1)
	if c.Name != "" {
		for _, w := range f.worlds {
			w.modules[c.Name] = w.last
		}
	}
}

type specForm func(r wazero.Runtime, as string) (api.Module, error)

// forms returns how to instantiate a module in each world, or nil when it is not admitted.
func (f *specFile) forms(c specCommand, bin []byte) []specForm {
	m, err := wasmbin.Parse(bin, specLimits(), importsOf(f.t, f.worlds[0].r, bin))
	if err != nil {
		_, refused := f.worlds[0].r.CompileModule(f.t.Context(), bin)
		for _, e := range wasmbin.Reasons(err) {
			if refused != nil {
				break // wazero has no such feature either
			}
			if e.Code == wasmbin.CodeMalformed || e.Code == wasmbin.CodeInvalid {
				f.t.Errorf("line %d: %s: %v", c.Line, c.Filename, e)
			}
		}
		return nil
	}
	w, err := m.Rewrite(options())
	if err != nil {
		f.t.Errorf("line %d: rewrite %s: %v", c.Line, c.Filename, err)
		return nil
	}
	return []specForm{
		func(r wazero.Runtime, as string) (api.Module, error) {
			return instantiate(f.t, r, bin, as)
		},
		func(r wazero.Runtime, as string) (api.Module, error) {
			return instantiate(f.t, r, w.Bin, as)
		},
		func(r wazero.Runtime, as string) (api.Module, error) {
			return f.baked(m, w, r, as)
		},
	}
}

// baked instantiates the rewritten module, takes a snapshot, and instantiates the baked module over it.
func (f *specFile) baked(m *wasmbin.Module, w *wasmbin.Rewritten, r wazero.Runtime, as string) (api.Module, error) {
	first, err := instantiate(f.t, r, w.Bin, "")
	if err != nil {
		return nil, err
	}
	snap, mem := snapshot(f.t, m, w, first)
	bin, err := w.Bake(snap)
	if err != nil {
		var e *wasmbin.Error
		if m.MutatesTables() || m.DropsSegments() {
			if errors.As(err, &e) && e.Code == wasmbin.CodeUnsupported {
				return instantiate(f.t, r, w.Bin, as)
			}
		}
		return nil, fmt.Errorf("bake: %w", err)
	}
	second, err := instantiate(f.t, r, bin, as)
	if err != nil {
		return nil, err
	}
	if m.HasMemory() && !second.Memory().Write(0, mem) {
		return nil, errors.New("baked memory is smaller than the snapshot")
	}
	f.stats.baked.Add(1)
	return second, nil
}

func (f *specFile) invoke(c specCommand) {
	f.t.Helper()
	args, ok := specArgs(c.Action.Args)
	if !ok {
		return
	}
	var outcomes [3]string
	for i, w := range f.worlds {
		mod := w.last
		if c.Action.Module != "" {
			mod = w.modules[c.Action.Module]
		} else if f.wreckage {
			return
		}
		if mod == nil {
			return
		}
		outcomes[i] = outcome(f.t.Context(), mod, c.Action.Field, args)
	}
	for i := 1; i < len(outcomes); i++ {
		if diff := cmp.Diff(outcomes[0], outcomes[i]); diff != "" {
			f.t.Errorf("line %d: %s(%v): form %d differs:\n%s", c.Line, c.Action.Field, args, i, diff)
		}
	}
	if strings.HasPrefix(outcomes[0], "trap") {
		f.stats.traps.Add(1)
	} else {
		f.stats.results.Add(1)
	}
}

// outcome calls a function and returns its results or its trap as text.
func outcome(ctx context.Context, mod api.Module, name string, args []uint64) string {
	results, err := mod.ExportedFunction(name).Call(ctx, args...)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return "trap: " + first
	}
	return fmt.Sprint(results)
}

func specArgs(values []specValue) (args []uint64, ok bool) {
	for _, v := range values {
		if v.Type == "externref" || v.Type == "funcref" {
			return nil, false
		}
		if v.Type == "v128" {
			lo, hi, ok := specVector(v)
			if !ok {
				return nil, false
			}
			args = append(args, lo, hi)
			continue
		}
		var s string
		if err := json.Unmarshal(v.Value, &s); err != nil {
			return nil, false
		}
		x, ok := specNumber(s, strings.HasSuffix(v.Type, "32"))
		if !ok {
			return nil, false
		}
		args = append(args, x)
	}
	return args, true
}

func specNumber(s string, half bool) (uint64, bool) {
	switch s {
	case "nan:canonical", "nan:arithmetic":
		if half {
			return 0x7fc00000, true
		}
		return 0x7ff8000000000000, true
	}
	if x, err := strconv.ParseUint(s, 10, 64); err == nil {
		return x, true
	}
	x, err := strconv.ParseInt(s, 10, 64)
	if half {
		return uint64(uint32(x)), err == nil
	}
	return uint64(x), err == nil
}

func specVector(v specValue) (lo, hi uint64, ok bool) {
	var lanes []string
	if err := json.Unmarshal(v.Value, &lanes); err != nil || len(lanes) == 0 {
		return 0, 0, false
	}
	width := 128 / len(lanes)
	out := [2]uint64{}
	for i, lane := range lanes {
		x, ok := specNumber(lane, width == 32)
		if !ok {
			return 0, 0, false
		}
		if width < 64 {
			x &= 1<<width - 1
		}
		bit := i * width
		out[bit/64] |= x << (bit % 64)
	}
	return out[0], out[1], true
}

// importsOf returns what a module imports as what the host allows.
func importsOf(t testing.TB, r wazero.Runtime, bin []byte) []wasmbin.Import {
	t.Helper()
	compiled, err := r.CompileModule(t.Context(), bin)
	if err != nil {
		return nil
	}
	var allowed []wasmbin.Import
	for _, fn := range compiled.ImportedFunctions() {
		module, name, _ := fn.Import()
		allowed = append(allowed, wasmbin.Import{
			Module: module, Name: name, Params: valueTypes(fn.ParamTypes()), Results: valueTypes(fn.ResultTypes()),
		})
	}
	return allowed
}

func valueTypes(types []api.ValueType) []wasmbin.ValueType {
	var out []wasmbin.ValueType
	for _, t := range types {
		out = append(out, wasmbin.ValueType(t))
	}
	return slices.Clip(out)
}
