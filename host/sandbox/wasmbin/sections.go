package wasmbin

import (
	"fmt"
	"slices"
	"strings"
)

func (p *parser) typeSection(r *reader) {
	n := p.vector(r, 3, p.lim.Types, "types")
	values := make([]ValueType, 0, r.remaining())
	p.m.types = make([]FuncType, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.pos
		if form := r.byte(); form != formFunc {
			r.failAt(start, CodeFeature, fmt.Sprintf("type %d has form 0x%02x: only function types are admitted", i, form))
			return
		}
		var t FuncType
		t.Params, values = p.valueTypes(r, values)
		t.Results, values = p.valueTypes(r, values)
		p.limit(start, len(t.Params), p.lim.Params, fmt.Sprintf("parameters of type %d", i))
		p.limit(start, len(t.Results), p.lim.Results, fmt.Sprintf("results of type %d", i))
		p.m.types = append(p.m.types, t)
	}
}

// vector reads the length of a vector, like [reader.count], and ends the search for reasons when it is above its limit.
func (p *parser) vector(r *reader, itemBytes, most int, what string) int {
	at := r.pos
	n := r.count(itemBytes)
	if n > most {
		r.failAt(at, CodeLimit, fmt.Sprintf("%s: %d, at most %d are admitted", what, n, most))
		return 0
	}
	return n
}

// valueTypes reads a vector of value types into the arena.
func (p *parser) valueTypes(r *reader, arena []ValueType) (types, rest []ValueType) {
	n := r.count(1)
	from := len(arena)
	for range n {
		arena = append(arena, p.valueType(r))
	}
	return slices.Clip(arena[from:]), arena
}

// valueType reads a value type; it is 0, the unknown type, when it was refused.
func (p *parser) valueType(r *reader) ValueType {
	at := r.pos
	t := ValueType(r.byte())
	switch {
	case r.err != nil:
	case t >= V128 && t <= I32:
		return t
	case t >= 0x63 && t <= typeFuncRef:
		p.addf(CodeFeature, at, "reference types are not admitted")
		return 0
	default:
		r.failAt(at, CodeMalformed, fmt.Sprintf("unknown value type 0x%02x", byte(t)))
	}
	return I32
}

func (p *parser) importSection(r *reader) {
	n := p.vector(r, 4, p.lim.Imports, "imports")
	p.m.imports = make([]Import, 0, n)
	p.m.importTypes = make([]uint32, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		p.importEntry(r)
	}
}

func (p *parser) importEntry(r *reader) {
	at := r.pos
	module := p.checkedName(r)
	name := p.checkedName(r)
	switch kind := r.byte(); kind {
	case byte(KindFunc):
		t := r.u32()
		if int(t) >= len(p.m.types) {
			r.failAt(at, CodeInvalid, "import has an unknown type")
			return
		}
		im := Import{module, name, p.m.types[t].Params, p.m.types[t].Results}
		p.m.imports = append(p.m.imports, im)
		p.m.importTypes = append(p.m.importTypes, t)
		p.checkImport(at, im)
		return
	case byte(KindTable):
		p.tableType(r)
	case byte(KindMemory):
		p.memoryType(r)
	case byte(KindGlobal):
		p.valueType(r)
		r.byte()
	default:
		r.failAt(at, CodeFeature, fmt.Sprintf("import of kind 0x%02x is not admitted", kind))
	}
	p.foreign = true
	p.addf(CodeImport, at, "import %s.%s: only functions can be imported", module, name)
}

// checkedName reads a name and reports one that is too long.
func (p *parser) checkedName(r *reader) string {
	at := r.pos
	s := r.name()
	if len(s) > p.lim.NameBytes {
		p.limit(at, len(s), p.lim.NameBytes, "bytes in a name")
		s = s[:0]
	}
	return string(s)
}

func (p *parser) checkImport(at int, im Import) {
	for _, a := range p.allowed {
		if a.Module != im.Module || a.Name != im.Name {
			continue
		}
		if !slices.Equal(a.Params, im.Params) || !slices.Equal(a.Results, im.Results) {
			p.addf(CodeImport, at, "import %s.%s has type %s, the host's is %s", im.Module, im.Name,
				signature(im.Params, im.Results), signature(a.Params, a.Results))
		}
		return
	}
	p.addf(CodeImport, at, "import %s.%s is not offered by the host", im.Module, im.Name)
}

// signature formats a function type as in "(i32, i32) -> i64".
func signature(params, results []ValueType) string {
	list := func(types []ValueType) string {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = t.String()
		}
		return strings.Join(names, ", ")
	}
	if len(results) == 1 {
		return "(" + list(params) + ") -> " + list(results)
	}
	return "(" + list(params) + ") -> (" + list(results) + ")"
}

func (p *parser) functionSection(r *reader) {
	n := p.vector(r, 1, p.lim.Functions, "functions")
	p.m.funcTypes = make([]uint32, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		t := r.u32()
		if int(t) >= len(p.m.types) {
			r.failAt(at, CodeInvalid, fmt.Sprintf("function %d has an unknown type", i))
		}
		p.m.funcTypes = append(p.m.funcTypes, t)
	}
	p.m.addressed = make([]bool, p.m.funcCount())
}

func (p *parser) tableSection(r *reader) {
	at := r.pos
	n := r.count(3)
	if n > 1 {
		r.failAt(at, CodeFeature, "multiple tables are not admitted")
	}
	if n == 1 && r.err == nil {
		p.m.table = p.tableType(r)
		p.m.table.present = true
		p.limit(at, int(p.m.table.min), p.lim.TableEntries, "initial table entries")
	}
}

func (p *parser) tableType(r *reader) (t tableType) {
	at := r.pos
	switch form := r.byte(); form {
	case typeFuncRef:
	case typeExternRef:
		p.addf(CodeFeature, at, "reference types are not admitted")
	default:
		r.failAt(at, CodeFeature, fmt.Sprintf("table of type 0x%02x is not admitted", form))
	}
	at = r.pos
	flags := r.byte()
	if flags > 1 {
		r.failAt(at, CodeFeature, fmt.Sprintf("table limits 0x%02x are not admitted", flags))
	}
	t.min, t.max, t.hasMax = r.limits(flags)
	if t.hasMax && t.max < t.min {
		r.failAt(at, CodeInvalid, "table maximum is below its minimum")
	}
	return t
}

// limits reads a minimum and, if the flags say so, a maximum.
func (r *reader) limits(flags byte) (lo, hi uint32, hasMax bool) {
	lo = r.u32()
	if hasMax = flags&1 != 0; hasMax {
		hi = r.u32()
	}
	return lo, hi, hasMax
}

// maxMemoryPages is the size of a 32-bit address space.
const maxMemoryPages = 65_536

func (p *parser) memorySection(r *reader) {
	at := r.pos
	n := r.count(2)
	if n > 1 {
		r.failAt(at, CodeFeature, "multiple memories are not admitted")
	}
	if n == 1 && r.err == nil {
		p.m.memory = p.memoryType(r)
		p.m.memory.present = true
		p.limit(at, int(p.m.memory.min), int(p.lim.MemoryPages), "initial memory pages")
	}
}

func (p *parser) memoryType(r *reader) (t memoryType) {
	at := r.pos
	flags := r.byte()
	switch {
	case flags > 7:
		r.failAt(at, CodeMalformed, fmt.Sprintf("unknown memory limits 0x%02x", flags))
	case flags&4 != 0:
		r.failAt(at, CodeFeature, "64-bit memory is not admitted")
	case flags&2 != 0:
		r.failAt(at, CodeFeature, "shared memory is not admitted")
	}
	t.min, t.max, t.hasMax = r.limits(flags)
	switch {
	case t.min > maxMemoryPages || t.max > maxMemoryPages:
		r.failAt(at, CodeInvalid, "memory is larger than 4 GiB")
	case t.hasMax && t.max < t.min:
		r.failAt(at, CodeInvalid, "memory maximum is below its minimum")
	}
	return t
}

func (p *parser) globalSection(r *reader) {
	n := p.vector(r, 4, p.lim.Globals, "globals")
	p.m.globals = make([]global, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		g := global{t: p.valueType(r)}
		switch r.byte() {
		case 0:
		case 1:
			g.mutable = true
		default:
			r.failAt(at, CodeMalformed, "global is neither constant nor mutable")
		}
		if g.mutable && g.t == V128 {
			p.addf(CodeUnsupported, at, "global %d is mutable and of type v128, which a snapshot cannot hold", i)
		}
		g.init.from = r.pos
		if c := p.constExpr(r); r.err == nil && g.t != 0 && !c.is(g.t) {
			p.addf(CodeInvalid, g.init.from, "initial value of global %d is not %s", i, g.t)
		}
		g.init.to = r.pos
		p.m.globals = append(p.m.globals, g)
	}
}
