package wasmbin

import (
	"strings"
	"time"
)

// Parse decodes and checks a module. It refuses what is malformed or invalid, what exceeds lim, every feature outside
// MVP, multi-value, sign extension, saturating conversion, bulk memory and 128-bit SIMD, and every import that is not in
// allowed with exactly the same signature. It returns a single [*Error] or several joined ones; [Reasons] lists them.
//
// Bytes that are malformed end the search for reasons; all other reasons are collected, one for each function.
func Parse(bin []byte, lim Limits, allowed []Import) (*Module, error) {
	p := &parser{m: &Module{bin: bin, start: -1}, lim: lim, allowed: allowed}
	if !p.limit(-1, len(bin), lim.ModuleBytes, "bytes in the module") {
		return nil, p.err()
	}
	if !strings.HasPrefix(string(bin[:min(len(bin), len(header))]), header) {
		p.addf(CodeMalformed, 0, "not a WebAssembly module of version 1")
		return nil, p.err()
	}
	p.sections()
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.m, nil
}

// parser is the state of one Parse.
type parser struct {
	report
	m         *Module
	lim       Limits
	allowed   []Import
	checker   checker
	foreign   bool // imports something else than functions: index spaces are unknown, bodies are not checked
	hasCount  bool // there is a data count section
	dataCount int  // its value
	compile   time.Duration
}

// sections walks all sections. It stops at the first malformed one.
func (p *parser) sections() {
	r := newReader(p.m.bin, len(header), len(p.m.bin))
	last := 0
	for r.more() {
		at := r.pos
		id, size := r.byte(), int(r.u32())
		if r.err == nil && (size < 0 || size > r.remaining()) {
			r.failAt(at, CodeMalformed, "section longer than the module")
		}
		if r.err == nil && id != secCustom {
			last = p.order(&r, at, id, last)
		}
		if r.err != nil {
			break
		}
		s := newReader(p.m.bin, r.pos, r.pos+size)
		if p.section(&s, id); s.err == nil && s.more() {
			s.fail("section has bytes left over")
		}
		r.err = s.err
		r.pos += size
	}
	if r.err != nil {
		p.add(r.err)
		return
	}
	p.finish()
}

// order checks that sections come in the order of the specification, each at most once.
func (p *parser) order(r *reader, at int, id byte, last int) int {
	rank := int(id) * 2
	switch id {
	case secDataCount:
		rank = int(secCode)*2 - 1
	case secTag:
		r.failAt(at, CodeFeature, "exceptions are not admitted")
	default:
		if id > secTag {
			r.failAt(at, CodeMalformed, "unknown section")
		}
	}
	if rank <= last {
		r.failAt(at, CodeMalformed, "section is repeated or out of order")
	}
	return rank
}

func (p *parser) section(r *reader, id byte) {
	p.m.sections[id] = span{r.pos, len(r.b)}
	switch id {
	case secCustom:
		r.name()
		r.pos = max(r.pos, len(r.b))
	case secType:
		p.typeSection(r)
	case secImport:
		p.importSection(r)
	case secFunction:
		p.functionSection(r)
	case secTable:
		p.tableSection(r)
	case secMemory:
		p.memorySection(r)
	case secGlobal:
		p.globalSection(r)
	case secExport:
		p.exportSection(r)
	case secStart:
		p.startSection(r)
	case secElement:
		p.elementSection(r)
	case secDataCount:
		p.dataCount, p.hasCount = int(r.u32()), true
	case secCode:
		p.codeSection(r)
	case secData:
		p.dataSection(r)
	}
}

// finish makes the checks that need all sections.
func (p *parser) finish() {
	if p.compile > p.lim.ModuleCompile {
		p.addf(CodeLimit, -1, "compiling would take about %v, at most %v is admitted", p.compile.Round(time.Millisecond), p.lim.ModuleCompile)
	}
	if n := len(p.m.funcTypes); n > 0 && !p.m.sections[secCode].present() {
		p.addf(CodeMalformed, -1, "%d functions without code", n)
	}
	if p.hasCount && p.dataCount != p.m.dataCount {
		p.addf(CodeMalformed, -1, "data count is %d, but there are %d data segments", p.dataCount, p.m.dataCount)
	}
}

// funcType returns the type of a function by its index in the function index space.
func (m *Module) funcType(fn uint32) *FuncType {
	if n := uint32(len(m.importTypes)); fn < n {
		return &m.types[m.importTypes[fn]]
	}
	return &m.types[m.funcTypes[fn-uint32(len(m.importTypes))]]
}

// funcCount returns the size of the function index space.
func (m *Module) funcCount() int { return len(m.importTypes) + len(m.funcTypes) }
