package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	gostrings "strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
)

// child is what this test's own program does as a child process.
func child(mode, dir string) int {
	ctx := context.Background()
	switch mode {
	case "child-compile":
		return sandbox.CompileChild(ctx, os.Stdin, dir, os.Stderr)
	case "child-hang":
		select {}
	case "child-spin": // once its limits hold
		_ = sandbox.CompileChild(ctx, bytes.NewReader(nil), dir, os.Stderr)
		for !time.Now().IsZero() {
		}
	case "child-probe": // compiles nothing, then tries what a child must not
		_ = sandbox.CompileChild(ctx, bytes.NewReader(nil), dir, os.Stderr)
		if os.WriteFile(filepath.Join(dir, "inside"), nil, 0o600) != nil {
			return 10
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "outside"), nil, 0o600); !errors.Is(err, fs.ErrPermission) {
			return 11
		}
		if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
			_ = l.Close()
			return 12
		}
		return sandbox.ExitRefused
	}
	return 99
}

func childCompiler(mode string) *sandbox.ChildCompiler {
	return &sandbox.ChildCompiler{Command: []string{os.Args[0], mode}}
}

// counting counts what it compiles.
type counting struct {
	sandbox.Compiler
	n atomic.Int64
}

func (c *counting) Compile(ctx context.Context, wasm []byte, dir string) error {
	c.n.Add(1)
	return c.Compiler.Compile(ctx, wasm, dir)
}

// start loads a plugin on a host of its own, calls it, and returns how many modules were compiled for it.
func start(t *testing.T, dir, name string) int64 {
	t.Helper()
	c := &counting{Compiler: childCompiler("child-compile")}
	h, err := sandbox.New(t.Context(), sandbox.Config{CacheDir: dir, Compiler: c})
	if err != nil {
		t.Fatal(err)
	}
	before := codeFiles(t, dir)
	p, err := h.Load(t.Context(), moduleBytes(t, name))
	if err != nil {
		t.Fatal(err)
	}
	call(t, p, "nothing")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if after := codeFiles(t, dir); c.n.Load() == 0 && after != before {
		t.Errorf("the server compiled by itself: it has %d files of code, had %d", after, before)
	}
	return c.n.Load()
}

// codeFiles counts the runtime's files.
func codeFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	for _, f := range files(t, dir) {
		if gostrings.Contains(f, "wazero-") {
			n++
		}
	}
	return n
}

// files lists the files below dir.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	if n := start(t, dir, "values"); n == 0 {
		t.Fatal("nothing was compiled")
	}
	if n := start(t, dir, "values"); n != 0 {
		t.Errorf("%d modules were compiled after a restart, want 0", n)
	}
	for _, tt := range []struct {
		name   string
		damage func(path string) error
	}{
		{"flipped", func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		}},
		{"cut", func(path string) error { return os.Truncate(path, 10) }},
		{"empty", func(path string) error { return os.Truncate(path, 0) }},
		{"gone", os.Remove},
		{"foreign", func(path string) error { return os.WriteFile(path, []byte(`{"files":[{"path":"../../x"}]}`), 0o600) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range files(t, dir) {
				if err := tt.damage(path); err != nil {
					t.Fatal(err)
				}
				n := start(t, dir, "values")
				if code := gostrings.Contains(path, "wazero-"); code && n == 0 {
					t.Errorf("%s: damaged code was used", path)
				}
				if n := start(t, dir, "values"); n != 0 {
					t.Errorf("%s: %d modules were compiled after the repair", path, n)
				}
			}
		})
	}
}

// Code that another processor or runtime left in the cache, under a name that this one does not look for, is made again.
func TestCacheOfAnother(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	start(t, dir, "values")
	for _, path := range files(t, dir) {
		if !gostrings.Contains(path, "wazero-") {
			continue
		}
		other := gostrings.Repeat("0", len(filepath.Base(path)))
		if err := os.Rename(path, filepath.Join(filepath.Dir(path), other)); err != nil {
			t.Fatal(err)
		}
		for _, m := range files(t, filepath.Join(dir, "manifest")) {
			b, err := os.ReadFile(m)
			if err == nil {
				err = os.WriteFile(m, bytes.ReplaceAll(b, []byte(filepath.Base(path)), []byte(other)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := start(t, dir, "values"); n != 1 {
		t.Errorf("%d modules were compiled, want 1", n)
	}
	if n := start(t, dir, "values"); n != 0 {
		t.Errorf("%d modules were compiled after that, want 0", n)
	}
}

// A restart neither looks at a module's code nor runs it.
func TestRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a plugin in Go")
	}
	dir, wasm := filepath.Join(t.TempDir(), "cache"), sandboxtest.GoPlugin(t)
	load := func() (core time.Duration, allocated uint64) {
		h, err := sandbox.New(t.Context(), sandbox.Config{CacheDir: dir, Compiler: childCompiler("child-compile")})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := h.Load(t.Context(), wasm); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		core = h.CoreTime("")
		if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		return core, after.TotalAlloc - before.TotalAlloc
	}
	if core, _ := load(); core == 0 {
		t.Error("the first load did not run the module")
	}
	core, allocated := load()
	if core != 0 {
		t.Errorf("the guest ran for %v after a restart, want not at all", core)
	}
	// To parse the code takes ten times its size; what is read here is its data, twice.
	if most := 2 * uint64(len(wasm)); allocated > most {
		t.Errorf("a restart allocated %d bytes for a module of %d, want at most %d", allocated, len(wasm), most)
	}
}

// A cache with a bound keeps what was used last, and what it dropped is made again.
func TestCacheBound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	names := []string{"values", "services", "secrets"}
	size := func() (n int64) {
		for _, f := range files(t, dir) {
			if info, err := os.Stat(f); err == nil && !gostrings.Contains(f, "manifest") {
				n += info.Size()
			}
		}
		return n
	}
	const bound = 60_000
	for range 2 {
		for _, name := range names {
			h := newHost(t, sandbox.Config{CacheDir: dir, CacheBytes: bound})
			load(t, h, name)
			if n := size(); n > bound {
				t.Errorf("the cache has %d bytes, want at most %d", n, bound)
			}
		}
	}
	if n := size(); n == 0 {
		t.Error("the cache is empty")
	}
}

func TestCacheMustBePrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.New(t.Context(), sandbox.Config{CacheDir: dir}); err == nil {
		t.Error("a folder that everybody can write to is taken as a cache of code")
	}
}

func TestChildLimits(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		compiler   *sandbox.ChildCompiler
	}{
		{"time", "took too long", &sandbox.ChildCompiler{Command: []string{os.Args[0], "child-hang"}, Wall: 50 * time.Millisecond}},
		{"processor time", "processor time", &sandbox.ChildCompiler{Command: []string{os.Args[0], "child-spin"}, CPU: time.Second}},
		{"probe", "magic", childCompiler("child-probe")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, sandbox.Config{Compiler: tt.compiler})
			_, err := h.Load(t.Context(), moduleBytes(t, "values"))
			wantReject(t, err, "compile", tt.text)
		})
	}
	h := newHost(t, sandbox.Config{Compiler: childCompiler("child-hang")})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Load(ctx, moduleBytes(t, "values")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	h = newHost(t, sandbox.Config{Compiler: &sandbox.ChildCompiler{Command: []string{"/does/not/exist"}}})
	var re *sandbox.RejectError
	if _, err := h.Load(t.Context(), moduleBytes(t, "values")); err == nil || errors.As(err, &re) {
		t.Errorf("got %v, want a fault of the machine", err)
	}
}

// A module that takes more memory to compile than it may is refused; it compiles where it may take as much.
func TestChildMemory(t *testing.T) {
	large := manyFunctions(50_000)
	c := childCompiler("child-compile")
	if err := c.Compile(t.Context(), large, t.TempDir()); err != nil {
		t.Errorf("with the memory that it may have by default: %v", err)
	}
	c.MemoryBytes = 64 << 20 // of which a process that does nothing takes a third
	err := c.Compile(t.Context(), large, t.TempDir())
	if !errors.Is(err, sandbox.ErrCompile) || !gostrings.Contains(err.Error(), "needs more memory") {
		t.Errorf("got %v, want that it needs more memory", err)
	}
}

// manyFunctions returns a module of n functions that compute something and drop it.
func manyFunctions(n int) []byte {
	section := func(id byte, body []byte) []byte {
		return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
	}
	function := []byte{0} // no locals
	for range 20 {
		function = append(function, 0x41, 7, 0x41, 9, 0x6c, 0x1a) // i32.const 7, i32.const 9, i32.mul, drop
	}
	function = append(function, 0x0b) // end
	types, funcs, code := []byte{1, 0x60, 0, 0}, binary.AppendUvarint(nil, uint64(n)), binary.AppendUvarint(nil, uint64(n))
	for range n {
		funcs = append(funcs, 0)
		code = append(binary.AppendUvarint(code, uint64(len(function))), function...)
	}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), section(1, types), section(3, funcs), section(10, code))
}

func TestCompileChildRefuses(t *testing.T) {
	c := childCompiler("child-compile")
	err := c.Compile(t.Context(), []byte("no module"), t.TempDir())
	if !errors.Is(err, sandbox.ErrCompile) {
		t.Errorf("got %v, want ErrCompile", err)
	}
}
