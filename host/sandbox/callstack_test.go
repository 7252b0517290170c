package sandbox_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	gostrings "strings"
	"sync"
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// maxRunawayHeap is what a call that fails for its stack may take of the Go heap: mostly the instance that replaces it.
const maxRunawayHeap = 512 << 10

// heapBytes returns how many bytes of the Go heap were ever taken.
func heapBytes() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// wantOverflow calls what recurses for ever, and makes sure that it takes nothing of the Go heap.
func wantOverflow(t *testing.T, p *sandbox.Plugin, c sandbox.Call) {
	t.Helper()
	overflow := func() {
		t.Helper()
		_, err := p.Call(t.Context(), c)
		wantError(t, err, sandbox.KindTrap, "", "stack overflow: the call used up its call stack of 2 MiB")
	}
	overflow() // makes what all share
	const calls = 3
	before := heapBytes()
	for range calls {
		overflow()
	}
	// The instance that replaces that of one call may be made during the next.
	if took := heapBytes() - before; took > calls*maxRunawayHeap {
		t.Errorf("%d calls took %d bytes of the heap, want at most %d each", calls, took, maxRunawayHeap)
	}
}

// Recursion without end takes neither the Go heap nor memory that stays.
func TestRunawayRecursion(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	t.Run("C", func(t *testing.T) {
		p := load(t, h, "hostile")
		wantOverflow(t, p, sandbox.Call{Function: "trap", Inputs: []value.Value{int32s(10)}})
		wantAlive(t, p)
	})
	t.Run("Go", func(t *testing.T) {
		p := loadGo(t, h)
		wantOverflow(t, p, sandbox.Call{Function: "runaway"})
		if got := string(call(t, p, "count").Outputs[0].Data); got != "1" {
			t.Errorf("the plugin sees call number %s, want 1", got)
		}
	})
	for _, c := range corpus(t) {
		if c.want == "call trap : stack overflow" {
			t.Run(c.name, func(t *testing.T) {
				p, err := h.Load(t.Context(), c.wasm)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = p.Close() }()
				wantOverflow(t, p, sandbox.Call{Function: "f"})
			})
		}
	}
}

// Many that recurse at once, beside calls that are right, take no more than their stacks, and leave less.
func TestRunawayRecursions(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	p, good := load(t, h, "hostile"), load(t, h, "values")
	before := resident(t)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 25 {
				_, err := hostile(context.WithoutCancel(t.Context()), p, "trap", 10, sandbox.Services{})
				if err == nil || !gostrings.Contains(err.Error(), "stack overflow") {
					t.Errorf("got %v, want a stack overflow", err)
				}
				r, err := good.Call(context.WithoutCancel(t.Context()), sandbox.Call{Function: "echo", Inputs: everyKind()})
				if err != nil {
					t.Error(err)
					return
				}
				r.Release()
			}
		})
	}
	all.Wait()
	most := int64(runtime.GOMAXPROCS(0))*2*2<<20 + 24<<20 // stacks that stay warm, and instances
	if after := resident(t); !raceEnabled && after > before+most {
		t.Errorf("resident memory went from %d to %d MiB, want at most %d more", before>>20, after>>20, most>>20)
	}
}

// What plugins do by recursion works: encoding/json reads documents of up to 10,000 levels.
func TestDeepRecursion(t *testing.T) {
	p := loadGo(t, newHost(t, sandbox.Config{}))
	for _, levels := range []int{1, 1000, 9990} {
		text := value.Text(gostrings.Repeat("[", levels) + gostrings.Repeat("]", levels))
		if got := string(call(t, p, "nested", text).Outputs[0].Data); got != fmt.Sprint(levels) {
			t.Errorf("a document of %d levels: got %s", levels, got)
		}
	}
	text := value.Text(gostrings.Repeat("[", 10_001) + gostrings.Repeat("]", 10_001))
	if got := string(call(t, p, "nested", text).Outputs[0].Data); !gostrings.Contains(got, "exceeded max depth") {
		t.Errorf("a document of 10001 levels: got %s, want the library's own refusal", got)
	}
}

// A chain of functions with large frames, of which none is called twice, is bounded as recursion is.
func TestDeepChain(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	for _, c := range []struct {
		functions int
		deep      bool
	}{{200, false}, {1500, true}} {
		p, err := h.Load(t.Context(), chain(c.functions))
		if err != nil {
			t.Fatal(err)
		}
		if c.deep {
			wantOverflow(t, p, sandbox.Call{Function: "f"})
		} else {
			call(t, p, "f")
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// chain is a plugin whose function calls the first of n functions of 250 parameters, each of which calls the next.
func chain(n int) []byte {
	const params, doc = 250, `{"name":"x","functions":[{"name":"f","inputs":[],"outputs":[]}]}`
	join := func(items ...string) string { return string(leb(nil, uint64(len(items)))) + gostrings.Join(items, "") }
	sized := func(s string) string { return string(leb(nil, uint64(len(s)))) + s }
	body := func(code string) string { return sized("\x00" + code + "\x0b") }
	export := func(name, what string) string { return sized(name) + what }
	call := func(fn int) string { return "\x10" + string(leb(nil, uint64(fn))) }

	types := []string{"\x60\x00\x01\x7e", "\x60\x02\x7f\x7f\x01\x7f", "\x60\x01\x7f\x01\x7f", "\x60" + sized(gostrings.Repeat("\x7e", params)) + "\x00"}
	funcs := []string{"\x00", "\x01", "\x02"}
	bodies := []string{
		body("\x42" + string([]byte{byte(len(doc)) | 0x80, 0})),           // describe: the document is at 0
		body("\x41\x80\x80\x04"),                                          // alloc: the second page
		body(gostrings.Repeat("\x42\x01", params) + call(3) + "\x41\x00"), // run
	}
	gets := ""
	for i := range params {
		gets += "\x20" + string(leb(nil, uint64(i)))
	}
	for i := range n {
		code := ""
		if i < n-1 {
			code = gets + call(4+i)
		}
		funcs, bodies = append(funcs, "\x03"), append(bodies, body(code))
	}
	exports := join(export(abi.ExportMemory, "\x02\x00"), export(abi.ExportDescribe, "\x00\x00"), export(abi.ExportAlloc, "\x00\x01"), export(abi.ExportRun, "\x00\x02"))
	b := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id   byte
		body string
	}{
		{1, join(types...)},
		{3, join(funcs...)},
		{5, join("\x00\x02")},
		{7, exports},
		{10, join(bodies...)},
		{11, join("\x00\x41\x00\x0b" + sized(doc))},
	} {
		b = section(b, s.id, []byte(s.body))
	}
	return b
}

// BenchmarkRunaway calls what recurses for ever, with the new instance that this takes.
func BenchmarkRunaway(b *testing.B) {
	p := load(b, newHost(b, sandbox.Config{}), "hostile")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hostile(b.Context(), p, "trap", 10, sandbox.Services{}); err == nil {
			b.Fatal("it came to an end")
		}
	}
}
