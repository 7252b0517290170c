package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	gostrings "strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// corpusCase is one module of the hostile corpus with what its source says about it:
//
//	;; why it is hostile
//	;; want: refused [code] | call kind [port: text]
//	;; calls: n
type corpusCase struct {
	name, why, want string
	calls           int
	wasm            []byte
}

// corpus reads the hostile corpus.
func corpus(t testing.TB) (all []corpusCase) {
	t.Helper()
	dir := filepath.Join("sandboxtest", "testdata", "corpus")
	sources, err := filepath.Glob(filepath.Join(dir, "*.wat"))
	if err != nil || len(sources) < 60 {
		t.Fatalf("got %d sources, %v, want at least 60", len(sources), err)
	}
	for _, path := range sources {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := corpusCase{name: gostrings.TrimSuffix(filepath.Base(path), ".wat"), calls: 1}
		for i, line := range gostrings.Split(string(src), "\n") {
			text, ok := gostrings.CutPrefix(line, ";; ")
			if !ok {
				break
			}
			if want, ok := gostrings.CutPrefix(text, "want: "); ok {
				c.want = want
			} else if n, ok := gostrings.CutPrefix(text, "calls: "); ok {
				c.calls, _ = strconv.Atoi(n)
			} else if i == 0 {
				c.why = text
			}
		}
		if c.wasm, err = os.ReadFile(gostrings.TrimSuffix(path, ".wat") + ".wasm"); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// Every module of the corpus is refused for its reason, or its call fails for its reason. The host lives, other calls are
// not disturbed, and the memory comes back.
func TestCorpus(t *testing.T) {
	h := newHost(t, sandbox.Config{MemoryLimitBytes: 32 << 20, DescribeTimeout: 200 * time.Millisecond})
	bystander := load(t, h, "values")
	before := resident(t)
	for _, c := range corpus(t) {
		t.Run(c.name, func(t *testing.T) {
			runCorpusCase(t, h, c)
			if n := int64of(t, call(t, bystander, "count").Outputs[0]); n != 1 {
				t.Errorf("another plugin's call gives %d, want 1", n)
			}
		})
	}
	debug.FreeOSMemory()
	if after := resident(t); !raceEnabled && after > before+50<<20 {
		t.Errorf("resident memory went from %d to %d MiB", before>>20, after>>20)
	}
	if got := h.Stats().Programs; got != 1 {
		t.Errorf("%d programs are left, want 1", got)
	}
}

// The committed modules of the corpus are what their sources build, where the tool that made them is installed.
func TestCorpusIsBuilt(t *testing.T) {
	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not here (Debian: apt-get install wabt)")
	}
	out := filepath.Join(t.TempDir(), "module.wasm")
	for _, c := range corpus(t) {
		source := filepath.Join("sandboxtest", "testdata", "corpus", c.name+".wat")
		if said, err := exec.CommandContext(t.Context(), tool, "--enable-all", "--no-check", source, "-o", out).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, said)
		}
		built, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, c.wasm) {
			t.Errorf("%s.wasm is not what its source builds: run make in host/sandbox/sandboxtest/testdata", c.name)
		}
	}
}

func runCorpusCase(t *testing.T, h *sandbox.Host, c corpusCase) {
	t.Helper()
	stage, what, _ := gostrings.Cut(c.want, " ")
	p, err := h.Load(t.Context(), c.wasm)
	if stage == "refused" {
		wantRefused(t, err, what)
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", c.why, err)
	}
	defer func() { _ = p.Close() }()
	for range c.calls {
		var rec recorder
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if what != "deadline" {
			ctx, cancel = context.WithCancel(t.Context())
		}
		r, err := p.Call(ctx, sandbox.Call{Function: "f", Services: rec.services(&fakeModels{})})
		cancel()
		if what == "ok" {
			if err != nil {
				t.Fatalf("%s: %v", c.why, err)
			}
			r.Release()
			continue
		}
		wantFailed(t, c, err, what)
	}
}

// wantFailed checks the error of a call: its kind and, where the source says them, its port and a part of its text.
func wantFailed(t *testing.T, c corpusCase, err error, what string) {
	t.Helper()
	kind, detail, detailed := gostrings.Cut(what, " ")
	port, text, _ := gostrings.Cut(detail, ":")
	var ce *sandbox.CallError
	if !errors.As(err, &ce) || ce.Kind.String() != kind {
		t.Fatalf("%s: got %v, want %s", c.why, err, what)
	}
	if detailed && (ce.Port != gostrings.TrimSpace(port) || !gostrings.Contains(ce.Text, gostrings.TrimSpace(text))) {
		t.Errorf("%s: got %q at port %q, want %s", c.why, ce.Text, ce.Port, what)
	}
	if ce.Plugin == "" || ce.Function == "" || gostrings.Contains(ce.Text, "\n") {
		t.Errorf("%s: got %+v, want plugin and function named and one line", c.why, ce)
	}
}

func wantRefused(t *testing.T, err error, code string) {
	t.Helper()
	var re *sandbox.RejectError
	if !errors.As(err, &re) || len(re.Reasons) == 0 {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, r := range re.Reasons {
		if code == "" || r.Code == code {
			return
		}
	}
	t.Errorf("got %+v, want the reason %s", re.Reasons, code)
}

// resident returns this process's resident memory in bytes, 0 where that is not known.
func resident(t testing.TB) int64 {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := gostrings.Fields(string(b))
	n, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * int64(os.Getpagesize())
}

// A module that is cut or changed anywhere is refused or works; it never breaks the host.
func TestDamagedModules(t *testing.T) {
	h := newHost(t, sandbox.Config{MemoryLimitBytes: 32 << 20, DescribeTimeout: 50 * time.Millisecond})
	good := moduleBytes(t, "values")
	step := 7
	if testing.Short() {
		step = 211
	}
	for n := range good {
		if _, err := h.Load(t.Context(), good[:n]); err == nil {
			t.Errorf("a module cut to %d bytes is taken", n)
		}
	}
	for n := 0; n < len(good); n += step {
		damaged := append([]byte(nil), good...)
		damaged[n] ^= byte(1 << (n % 8))
		tryModule(t, h, damaged)
	}
}

// tryModule loads what may be a module and calls what it may have.
func tryModule(t *testing.T, h *sandbox.Host, wasm []byte) {
	t.Helper()
	p, err := h.Load(t.Context(), wasm)
	if err != nil {
		if _, ok := errors.AsType[*sandbox.RejectError](err); !ok {
			t.Errorf("got %v, want a refusal", err)
		}
		return
	}
	defer func() { _ = p.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := p.Call(ctx, sandbox.Call{Function: "echo", Inputs: everyKind()})
	var ce *sandbox.CallError
	if err == nil {
		r.Release()
	} else if !errors.As(err, &ce) || ce.Kind == sandbox.KindHost {
		t.Errorf("got %v, want a fault of the plugin", err)
	}
}

// leb appends an unsigned LEB128 number.
func leb(b []byte, n uint64) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// section appends a section.
func section(b []byte, id byte, body []byte) []byte {
	return append(leb(append(b, id), uint64(len(body))), body...)
}

// oneFunction is a module with a function of the given code (locals and instructions).
func oneFunction(code []byte) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = section(b, 1, []byte{1, 0x60, 0, 0})
	b = section(b, 3, []byte{1, 0})
	return section(b, 10, append(leb([]byte{1}, uint64(len(code))), code...))
}

// Modules of some bytes that would cost a compiler gigabytes, minutes or a panic are refused before it sees them.
func TestBombs(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	before := resident(t)
	locals := func(n uint64) []byte { return oneFunction(append(leb([]byte{1}, n), 0x7f, 0x0b)) }
	manyTypes := section([]byte("\x00asm\x01\x00\x00\x00"), 1, leb(nil, 1<<31))
	data := section([]byte("\x00asm\x01\x00\x00\x00"), 12, leb(nil, 1<<31))
	jumps := leb([]byte{0, 0x41, 0, 0x0e}, 500_000)
	jumps = append(append(jumps, make([]byte, 500_001)...), 0x0b)
	nested := append(append([]byte{0}, gostrings.Repeat("\x03\x40", 4000)...), gostrings.Repeat("\x0b", 4001)...)
	for name, wasm := range map[string][]byte{
		"100 million locals": locals(100_000_000), "2^28 locals": locals(1 << 28), "2^32-1 locals": locals(1<<32 - 1),
		"2^31 types": manyTypes, "2^31 data segments": data, "a jump table of 500000": oneFunction(jumps),
		"4000 nested loops": oneFunction(nested), "17 MiB": make([]byte, 17<<20),
		"a name of 8 MiB": section([]byte("\x00asm\x01\x00\x00\x00"), 7, append(append(leb([]byte{1}, 8<<20), make([]byte, 8<<20)...), 0, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := h.Load(t.Context(), wasm)
			wantRefused(t, err, "")
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("it took %v to refuse it", d)
			}
		})
	}
	if after := resident(t); !raceEnabled && after > before+50<<20 {
		t.Errorf("resident memory went from %d to %d MiB", before>>20, after>>20)
	}
}
