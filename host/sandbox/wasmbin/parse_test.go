package wasmbin_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

func repeat(b []byte, n int) []byte { return bytes.Repeat(b, n) }

// bomb returns a module that takes a compiler very long: a function with many locals, all of them live, and n times
// before, then n times after.
func bomb(locals, n int, before, after []byte) []byte {
	var set, use []byte
	for i := range locals {
		set = cat(set, []byte{0x23, 0, 0x21}, leb(uint32(i)))
		use = cat(use, []byte{0x20}, leb(uint32(i)), []byte{0x24, 0})
	}
	code := cat(set, repeat(before, n), repeat(after, n), use)
	b := function(typ("", ""), cat([]byte{1}, leb(uint32(locals)), []byte{0x7f}), code...)
	b.globals = [][]byte{{0x7f, 1, 0x41, 0, 0x0b}}
	return b.bytes()
}

// manyBombs returns a module of functions each of which is admitted.
func manyBombs() []byte {
	b := build{types: [][]byte{typ("", "")}, globals: [][]byte{{0x7f, 1, 0x41, 0, 0x0b}}}
	for range 30 {
		b.funcs = append(b.funcs, []byte{0})
		b.codes = append(b.codes, body(nil, repeat([]byte{0x23, 0, 0x04, 0x40, 0x0b}, 6000)...))
	}
	return b.bytes()
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	u32max := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	tests := []struct {
		name string
		bin  []byte
		code wasmbin.Code
		text string
	}{
		{"empty", nil, wasmbin.CodeMalformed, "not a WebAssembly module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), wasmbin.CodeMalformed, "version 1"},
		{"section longer than module", []byte("\x00asm\x01\x00\x00\x00\x01\xff\x01"), wasmbin.CodeMalformed, "longer than the module"},
		{"section order", cat(build{mems: [][]byte{{0, 1}}}.bytes(), []byte{1, 1, 0}), wasmbin.CodeMalformed, "out of order"},
		{"section twice", cat(build{mems: [][]byte{{0, 1}}}.bytes(), []byte{5, 3, 1, 0, 1}), wasmbin.CodeMalformed, "repeated"},
		{"unknown section", cat(build{}.bytes(), []byte{14, 0}), wasmbin.CodeMalformed, "unknown section"},
		{"tag section", cat(build{}.bytes(), []byte{13, 0}), wasmbin.CodeFeature, "exceptions"},
		{"trailing bytes in section", cat(build{}.bytes(), []byte{5, 4, 1, 0, 1, 0}), wasmbin.CodeMalformed, "left over"},
		{"custom section name", cat(build{}.bytes(), []byte{0, 2, 1, 0xff}), wasmbin.CodeMalformed, "UTF-8"},
		{"vector of 4 G types", cat(build{}.bytes(), []byte{1, 5}, u32max), wasmbin.CodeMalformed, "vector longer"},

		{"29-byte locals bomb", function(typ("", ""), cat([]byte{1}, u32max, []byte{0x7e})).bytes(), wasmbin.CodeLimit, "locals"},
		{"locals that wrap", function(typ("", ""), cat([]byte{2}, u32max, []byte{0x7e}, u32max, []byte{0x7e})).bytes(), wasmbin.CodeLimit, "locals"},
		{"2001 locals", function(typ(i32, ""), cat([]byte{1}, leb(2000), []byte{0x7e})).bytes(), wasmbin.CodeLimit, "locals"},
		{"br_table bomb", void(cat([]byte{0x41, 0, 0x0e}, leb(9000), repeat([]byte{0}, 9001))...).bytes(), wasmbin.CodeLimit, "branch targets"},
		{"br_table count", void(cat([]byte{0x41, 0, 0x0e}, u32max)...).bytes(), wasmbin.CodeMalformed, "vector longer"},
		{"nested blocks", void(cat(repeat([]byte{0x02, 0x40}, 5000), repeat([]byte{0x0b}, 5000))...).bytes(), wasmbin.CodeLimit, "nested blocks"},
		{"nested loops", void(cat(repeat([]byte{0x03, 0x40}, 100), repeat([]byte{0x0b}, 100))...).bytes(), wasmbin.CodeLimit, "nested loops"},
		{"loops that carry locals", bomb(1500, 60, []byte{0x03, 0x40}, []byte{0x23, 0, 0x0d, 0, 0x0b}), wasmbin.CodeLimit, "1500 locals"},
		{"conditionals that merge locals", bomb(1000, 4000, []byte{0x23, 0, 0x04, 0x40, 0x0b}, nil), wasmbin.CodeLimit, "1000 locals"},
		{"basic blocks", bomb(10, 30_000, []byte{0x23, 0, 0x04, 0x40, 0x0b}, nil), wasmbin.CodeLimit, "branches and blocks"},
		{"branches to one place", bomb(10, 30_000, []byte{0x23, 0, 0x0d, 0}, nil), wasmbin.CodeLimit, "branches and blocks"},
		{"branch tables", bomb(10, 60, cat([]byte{0x02, 0x40, 0x41, 0, 0x0e}, leb(4000), repeat([]byte{0}, 4001), []byte{0x0b}), nil), wasmbin.CodeLimit, "branches and blocks"},
		{"operand stack", void(cat(repeat([]byte{0x41, 0}, 5000), repeat([]byte{0x1a}, 5000))...).bytes(), wasmbin.CodeLimit, "operands on the stack"},
		{"many costly functions", manyBombs(), wasmbin.CodeLimit, "compiling would take about"},
		{"large body", void(repeat([]byte{0x01}, 300_000)...).bytes(), wasmbin.CodeLimit, "code of 300002 bytes"},
		{"large module", make([]byte, 17<<20), wasmbin.CodeLimit, "bytes in the module"},
		{"many results", build{types: [][]byte{typ("", strings.Repeat(i32, 33))}}.bytes(), wasmbin.CodeLimit, "results"},
		{"many parameters", build{types: [][]byte{typ(strings.Repeat(i32, 256), "")}}.bytes(), wasmbin.CodeLimit, "parameters"},
		{"huge table", build{tables: [][]byte{cat([]byte{0x70, 0}, leb(1<<27))}}.bytes(), wasmbin.CodeLimit, "table entries"},
		{"long export name", build{mems: [][]byte{{0, 1}}, exports: [][]byte{export(strings.Repeat("x", 2000), 2, 0)}}.bytes(), wasmbin.CodeLimit, "bytes in a name"},

		{"GC type", build{types: [][]byte{{0x5f, 0, 0}}}.bytes(), wasmbin.CodeFeature, "form 0x5f"},
		{"externref parameter", build{types: [][]byte{typ("\x6f", "")}}.bytes(), wasmbin.CodeFeature, "reference types"},
		{"two tables", build{tables: [][]byte{{0x70, 0, 1}, {0x70, 0, 1}}}.bytes(), wasmbin.CodeFeature, "multiple tables"},
		{"externref table", build{tables: [][]byte{{0x6f, 0, 1}}}.bytes(), wasmbin.CodeFeature, "reference types"},
		{"two memories", build{mems: [][]byte{{0, 1}, {0, 1}}}.bytes(), wasmbin.CodeFeature, "multiple memories"},
		{"shared memory", build{mems: [][]byte{{3, 1, 1}}}.bytes(), wasmbin.CodeFeature, "shared"},
		{"64-bit memory", build{mems: [][]byte{{4, 1}}}.bytes(), wasmbin.CodeFeature, "64-bit"},
		{"memory above 4 GiB", build{mems: [][]byte{cat([]byte{0}, leb(65537))}}.bytes(), wasmbin.CodeInvalid, "4 GiB"},
		{"memory maximum", build{mems: [][]byte{{1, 2, 1}}}.bytes(), wasmbin.CodeInvalid, "below its minimum"},
		{"try", void(0x06, 0x40, 0x0b).bytes(), wasmbin.CodeFeature, "exceptions"},
		{"try_table", void(0x1f, 0x40, 0, 0x0b).bytes(), wasmbin.CodeFeature, "exceptions"},
		{"return_call", void(0x12, 0).bytes(), wasmbin.CodeFeature, "tail calls"},
		{"ref.func", void(0xd2, 0, 0x1a).bytes(), wasmbin.CodeFeature, "reference types"},
		{"typed select", void(0x00, 0x1c, 1, 0x7f, 0x1a).bytes(), wasmbin.CodeFeature, "reference types"},
		{"table.grow", void(0x00, 0xfc, 15, 0, 0x1a).bytes(), wasmbin.CodeFeature, "reference types"},
		{"atomics", void(0xfe, 3, 0).bytes(), wasmbin.CodeFeature, "threads"},
		{"struct.new", void(0xfb, 0, 0).bytes(), wasmbin.CodeFeature, "garbage"},
		{"relaxed SIMD", void(0x00, 0xfd, 0x80, 0x02, 0x1a).bytes(), wasmbin.CodeFeature, "relaxed SIMD"},
		{"padded SIMD opcode", void(0x00, 0xfd, 0x8c, 0x00, 0x1a).bytes(), wasmbin.CodeUnsupported, "not minimal"},
		{"padded misc opcode", void(0x00, 0xfc, 0x80, 0x00, 0x1a).bytes(), wasmbin.CodeUnsupported, "not minimal"},
		{"table.size", void(0xfc, 16, 0, 0x1a).bytes(), wasmbin.CodeFeature, "reference types"},
		{"unknown opcode", void(0xff).bytes(), wasmbin.CodeMalformed, "unknown instruction"},
		{"table index 1", indirect(0x81, 0x80, 0x00), wasmbin.CodeFeature, "multiple tables"},
		{"memory index 1", void(0x41, 0, 0x28, 0x42, 0, 0, 0x1a).bytes(), wasmbin.CodeFeature, "multiple memories"},
		{
			"passive elements", build{types: [][]byte{typ("", "")}, funcs: [][]byte{{0}}, tables: [][]byte{{0x70, 0, 1}}, elems: [][]byte{{1, 0, 1, 0}}, codes: [][]byte{body(nil)}}.bytes(),
			wasmbin.CodeFeature, "passive",
		},
		{"extended constant", build{globals: [][]byte{{0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b}}}.bytes(), wasmbin.CodeFeature, "extended"},
		{"mutable v128", build{globals: [][]byte{cat([]byte{0x7b, 1, 0xfd, 12}, make([]byte, 16), []byte{0x0b})}}.bytes(), wasmbin.CodeUnsupported, "v128"},

		{"type mismatch", function(typ("", i32), nil, 0x42, 0).bytes(), wasmbin.CodeInvalid, "i64 where i32"},
		{"stack underflow", void(0x1a).bytes(), wasmbin.CodeInvalid, "no operand"},
		{"values left", void(0x41, 0).bytes(), wasmbin.CodeInvalid, "too many"},
		{"code behind end", void(0x0b, 0x01).bytes(), wasmbin.CodeMalformed, "goes on"},
		{"missing end", build{types: [][]byte{typ("", "")}, funcs: [][]byte{{0}}, codes: [][]byte{{2, 0, 1}}}.bytes(), wasmbin.CodeMalformed, "unexpected end"},
		{"unknown label", void(0x0c, 1).bytes(), wasmbin.CodeInvalid, "label 1"},
		{"unknown local", void(0x20, 0, 0x1a).bytes(), wasmbin.CodeInvalid, "local 0"},
		{"unknown global", void(0x23, 0, 0x1a).bytes(), wasmbin.CodeInvalid, "global 0"},
		{"unknown function", void(0x10, 9).bytes(), wasmbin.CodeInvalid, "function 9"},
		{"else without if", void(0x05).bytes(), wasmbin.CodeInvalid, "else without if"},
		{"alignment", void(0x41, 0, 0x28, 3, 0, 0x1a).bytes(), wasmbin.CodeInvalid, "alignment"},
		{"lane", void(0x00, 0xfd, 21, 16, 0x1a).bytes(), wasmbin.CodeInvalid, "lane"},
		{"function without code", build{types: [][]byte{typ("", "")}, funcs: [][]byte{{0}}}.bytes(), wasmbin.CodeMalformed, "without code"},
		{"more code than functions", build{codes: [][]byte{body(nil)}}.bytes(), wasmbin.CodeMalformed, "code for 1"},
		{"start with parameters", build{types: [][]byte{typ(i32, "")}, funcs: [][]byte{{0}}, start: []byte{0}, codes: [][]byte{body(nil)}}.bytes(), wasmbin.CodeInvalid, "start function has type"},
		{"export twice", build{mems: [][]byte{{0, 1}}, exports: [][]byte{export("m", 2, 0), export("m", 2, 0)}}.bytes(), wasmbin.CodeInvalid, "exported twice"},
		{"export of nothing", build{exports: [][]byte{export("m", 2, 0)}}.bytes(), wasmbin.CodeInvalid, "does not exist"},
		{"data outside memory", build{mems: [][]byte{{0, 1}}, datas: [][]byte{cat([]byte{0, 0x41}, []byte{0xff, 0xff, 0x03, 0x0b}, []byte{2, 1, 2})}}.bytes(), wasmbin.CodeInvalid, "does not fit"},
		{"data without memory", build{datas: [][]byte{{0, 0x41, 0, 0x0b, 0}}}.bytes(), wasmbin.CodeInvalid, "without a memory"},
		{"data count", build{count: []byte{2}, mems: [][]byte{{0, 1}}, datas: [][]byte{{1, 0}}}.bytes(), wasmbin.CodeMalformed, "data count is 2"},
		{"elements outside table", build{types: [][]byte{typ("", "")}, funcs: [][]byte{{0}}, tables: [][]byte{{0x70, 0, 1}}, elems: [][]byte{{0, 0x41, 1, 0x0b, 1, 0}}, codes: [][]byte{body(nil)}}.bytes(), wasmbin.CodeInvalid, "does not fit"},

		{"imported memory", build{imports: [][]byte{cat(name("env"), name("memory"), []byte{2, 0, 1})}}.bytes(), wasmbin.CodeImport, "env.memory"},
		{"unknown import", build{types: [][]byte{typ("", "")}, imports: [][]byte{cat(name("env"), name("abort"), []byte{0, 0})}}.bytes(), wasmbin.CodeImport, "env.abort is not offered"},
		{"import signature", build{types: [][]byte{typ(i32, "")}, imports: [][]byte{cat(name("tdm1"), name("now_ns"), []byte{0, 0})}}.bytes(), wasmbin.CodeImport, "(i32) -> (), the host's is () -> i64"},
	}
	allowed := []wasmbin.Import{{Module: "tdm1", Name: "now_ns", Results: []wasmbin.ValueType{wasmbin.I64}}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := wasmbin.Parse(tt.bin, wasmbin.DefaultLimits(), allowed)
			for _, e := range wasmbin.Reasons(err) {
				if e.Code == tt.code && strings.Contains(e.Text, tt.text) {
					return
				}
			}
			t.Fatalf("got %v, want code %q and text %q", err, tt.code, tt.text)
		})
	}
}

// indirect returns a module with an indirect call whose table is encoded as given.
func indirect(table ...byte) []byte {
	b := void(cat([]byte{0x41, 0, 0x11, 0}, table)...)
	b.tables = [][]byte{{0x70, 0, 1}}
	return b.bytes()
}

// TestParsePaddedTable: linkers write the number of a table as five bytes, so that they can put another one there.
func TestParsePaddedTable(t *testing.T) {
	t.Parallel()
	for _, table := range [][]byte{{0}, {0x80, 0}, {0x80, 0x80, 0x80, 0x80, 0}} {
		if _, err := wasmbin.Parse(indirect(table...), wasmbin.DefaultLimits(), nil); err != nil {
			t.Errorf("table %x: %v", table, err)
		}
	}
}

func TestParseReportsAllReasons(t *testing.T) {
	t.Parallel()
	b := build{
		types: [][]byte{typ("", "")},
		imports: [][]byte{
			cat(name("env"), name("a"), []byte{0, 0}),
			cat(name("env"), name("b"), []byte{0, 0}),
		},
		funcs: [][]byte{{0}, {0}, {0}},
		codes: [][]byte{body(nil, 0x1a), body(nil), body(nil, 0x41, 0)},
	}
	_, err := wasmbin.Parse(b.bytes(), wasmbin.DefaultLimits(), nil)
	type reason struct {
		Code wasmbin.Code
		Func int
	}
	var got []reason
	for _, e := range wasmbin.Reasons(err) {
		got = append(got, reason{e.Code, e.Func})
		if e.Offset <= 0 {
			t.Errorf("%v has no offset", e)
		}
	}
	want := []reason{{wasmbin.CodeImport, -1}, {wasmbin.CodeImport, -1}, {wasmbin.CodeInvalid, 2}, {wasmbin.CodeInvalid, 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("reasons differ (-want +got):\n%s", diff)
	}
}

func TestParseBoundsReasons(t *testing.T) {
	t.Parallel()
	b := build{types: [][]byte{typ("", "")}}
	for range 1000 {
		b.funcs = append(b.funcs, []byte{0})
		b.codes = append(b.codes, body(nil, 0x1a))
	}
	_, err := wasmbin.Parse(b.bytes(), wasmbin.DefaultLimits(), nil)
	reasons := wasmbin.Reasons(err)
	if len(reasons) != 101 || !strings.Contains(reasons[100].Text, "900 more") {
		t.Fatalf("got %d reasons, the last is %v", len(reasons), reasons[len(reasons)-1])
	}
}

func TestParseFacts(t *testing.T) {
	t.Parallel()
	b := function(typ(i32, i64), nil, 0x20, 0, 0x40, 0, 0x1a, 0x42, 7)
	b.imports = [][]byte{cat(name("tdm1"), name("f"), []byte{0, 0})}
	b.exports = [][]byte{export("f", 0, 1), export("memory", 2, 0), export("host", 0, 0)}
	b.mems = [][]byte{{1, 1, 9}}
	allowed := []wasmbin.Import{{
		Module: "tdm1", Name: "f",
		Params: []wasmbin.ValueType{wasmbin.I32}, Results: []wasmbin.ValueType{wasmbin.I64},
	}}
	m, err := wasmbin.Parse(b.bytes(), wasmbin.DefaultLimits(), allowed)
	if err != nil {
		t.Fatal(err)
	}
	want := wasmbin.FuncType{Params: allowed[0].Params, Results: allowed[0].Results}
	for _, name := range []string{"f", "host"} {
		if got, ok := m.ExportedFunc(name); !ok || !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, ok, want)
		}
	}
	if _, ok := m.ExportedFunc("memory"); ok {
		t.Error("memory is taken for a function")
	}
	if lo, hi, ok := m.Memory(); lo != 1 || hi != 9 || !ok {
		t.Errorf("memory: got %d, %d, %v", lo, hi, ok)
	}
	if !m.GrowsMemory() || m.MutatesTables() || m.DropsSegments() || m.UsesPassiveData() || m.HasStart() || !m.HasMemory() {
		t.Error("facts are wrong")
	}
	if diff := cmp.Diff(allowed, m.Imports()); diff != "" {
		t.Error(diff)
	}
	kinds := []wasmbin.ExportKind{wasmbin.KindFunc, wasmbin.KindMemory, wasmbin.KindFunc}
	for i, e := range m.Exports() {
		if e.Kind != kinds[i] {
			t.Errorf("export %d: got kind %d, want %d", i, e.Kind, kinds[i])
		}
	}
}

// TestParseTruncated cuts a module at every byte. A cut between sections may leave a module, which must then work.
func TestParseTruncated(t *testing.T) {
	t.Parallel()
	bin, err := sandboxtest.KernelModule(t.Context(), "as.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for n := range bin {
		m, err := wasmbin.Parse(bin[:n], wasmbin.DefaultLimits(), nil)
		if err != nil {
			continue
		}
		if _, err := m.Rewrite(options()); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		e    wasmbin.Error
		want string
	}{
		{wasmbin.Error{Offset: 16, Func: 3, Text: "x"}, "wasm: function 3 at 0x10: x"},
		{wasmbin.Error{Offset: 16, Func: -1, Text: "x"}, "wasm: at 0x10: x"},
		{wasmbin.Error{Offset: -1, Func: -1, Text: "x"}, "wasm: x"},
	} {
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if got := wasmbin.Reasons(errors.New("other")); got != nil {
		t.Errorf("reasons of another error: got %v", got)
	}
}
