package wasmbin

import "fmt"

// constant is the value of a constant expression.
type constant struct {
	t    ValueType // 0 for a reference
	i32  uint32    // value of an i32.const
	fn   uint32    // operand of ref.func
	null bool      // ref.null
	any  bool      // of an imported global, in a module that is refused anyway
}

func (c constant) is(t ValueType) bool { return c.any || c.t == t }

// constExpr reads a constant expression: one constant and an end. Since globals cannot be imported, global.get never
// occurs in a valid one.
func (p *parser) constExpr(r *reader) (c constant) {
	at := r.pos
	switch op := r.opcode(); op {
	case opI32Const:
		c.t, c.i32 = I32, uint32(r.s32())
	case opI64Const:
		c.t = I64
		r.s64()
	case opF32Const:
		c.t = F32
		r.take(4)
	case opF64Const:
		c.t = F64
		r.take(8)
	case opV128Const:
		c.t = V128
		r.take(16)
	case opRefFunc:
		c.fn = r.u32()
	case opRefNull:
		c.null = true
		if r.byte() != typeFuncRef {
			r.failAt(at, CodeFeature, "reference types are not admitted")
		}
	case opGlobalGet:
		r.u32()
		if c.any = p.foreign; !c.any {
			r.failAt(at, CodeInvalid, "constant expression refers to a global that is not imported")
		}
	default:
		r.failAt(at, CodeInvalid, "not a constant expression")
	}
	if at := r.pos; r.byte() != opEnd {
		r.failAt(at, CodeFeature, "extended constant expressions are not admitted")
	}
	return c
}

func (p *parser) exportSection(r *reader) {
	n := p.vector(r, 3, p.lim.Exports, "exports")
	p.m.exports = make([]Export, 0, n)
	names := make(map[string]struct{}, n)
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		e := Export{Name: p.checkedName(r), Kind: ExportKind(r.byte()), Index: r.u32()}
		if _, twice := names[e.Name]; twice {
			p.addf(CodeInvalid, at, "%q is exported twice", e.Name)
		}
		names[e.Name] = struct{}{}
		p.checkExport(r, at, &e)
		p.m.exports = append(p.m.exports, e)
	}
}

func (p *parser) checkExport(r *reader, at int, e *Export) {
	var space int
	switch e.Kind {
	case KindFunc:
		space = p.m.funcCount()
	case KindTable:
		space = count(p.m.table.present)
	case KindMemory:
		space = count(p.m.memory.present)
	case KindGlobal:
		space = len(p.m.globals)
	default:
		r.failAt(at, CodeFeature, fmt.Sprintf("export of kind 0x%02x is not admitted", byte(e.Kind)))
		return
	}
	switch {
	case p.foreign || r.err != nil:
	case int64(e.Index) >= int64(space):
		p.addf(CodeInvalid, at, "export %q refers to something that does not exist", e.Name)
	case e.Kind == KindFunc:
		e.Func = *p.m.funcType(e.Index)
		p.address(e.Index)
	}
}

func count(present bool) int {
	if present {
		return 1
	}
	return 0
}

func (p *parser) startSection(r *reader) {
	at := r.pos
	fn := r.u32()
	if r.err != nil || p.foreign {
		return
	}
	if int64(fn) >= int64(p.m.funcCount()) {
		p.addf(CodeInvalid, at, "start function does not exist")
		return
	}
	if t := p.m.funcType(fn); len(t.Params)+len(t.Results) > 0 {
		p.addf(CodeInvalid, at, "start function has type %s, it must be () -> ()", signature(t.Params, t.Results))
	}
	p.m.start = int(fn)
	p.address(fn)
}

// elemSegment is the head of an element segment; its items follow in the input.
type elemSegment struct {
	flags  uint32
	offset constant // of an active one
	items  int
}

// The bits of an element segment's flags.
const (
	elemPassive  = 1 // passive, or declarative with elemExplicit
	elemExplicit = 2 // names its table (active), or is declarative (passive)
	elemExprs    = 4 // items are expressions
)

func (p *parser) elementSection(r *reader) {
	n := p.vector(r, 3, p.lim.ElemSegments, "element segments")
	p.m.elemCount = n
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		e := p.elemHead(r)
		if e.flags&elemPassive != 0 { // wazero panics at instantiation when reference types are off
			p.addf(CodeFeature, at, "element segment %d is passive or declarative, which is not admitted", i)
		}
		for k := 0; k < e.items && r.err == nil; k++ {
			p.elemItem(r, e.flags)
		}
		if e.flags&elemPassive != 0 || r.err != nil || p.foreign {
			continue
		}
		if !p.m.table.present {
			p.addf(CodeInvalid, at, "element segment %d without a table", i)
		} else if uint64(e.offset.i32)+uint64(e.items) > uint64(p.m.table.min) {
			p.addf(CodeInvalid, at, "element segment %d does not fit into the table", i)
		}
	}
}

// elemHead reads an element segment up to its items.
func (p *parser) elemHead(r *reader) (e elemSegment) {
	at := r.pos
	if e.flags = r.u32(); e.flags > 7 {
		r.failAt(at, CodeMalformed, "unknown kind of element segment")
	}
	if e.flags&elemPassive == 0 {
		if e.flags&elemExplicit != 0 {
			r.zero("tables")
		}
		if e.offset = p.constExpr(r); r.err == nil && !e.offset.is(I32) {
			r.failAt(at, CodeInvalid, "element segment's offset is not an i32")
		}
	}
	if e.flags&(elemPassive|elemExplicit) != 0 {
		want := byte(0)
		if e.flags&elemExprs != 0 {
			want = typeFuncRef
		}
		if r.byte() != want {
			r.failAt(at, CodeFeature, "element segment of references other than functions is not admitted")
		}
	}
	e.items = r.count(1)
	return e
}

func (p *parser) elemItem(r *reader, flags uint32) {
	at := r.pos
	var c constant
	if flags&elemExprs == 0 {
		c.fn = r.u32()
	} else if c = p.constExpr(r); !c.is(0) {
		r.failAt(at, CodeInvalid, "element is not a function")
	}
	switch {
	case c.null || p.foreign || r.err != nil:
	case int64(c.fn) >= int64(p.m.funcCount()):
		r.failAt(at, CodeInvalid, "element refers to a function that does not exist")
	default:
		p.address(c.fn)
	}
}

// address notes that a function may be called by the host or through the table.
func (p *parser) address(fn uint32) {
	if int(fn) < len(p.m.addressed) {
		p.m.addressed[fn] = true
	}
}

func (p *parser) dataSection(r *reader) {
	n := p.vector(r, 2, p.lim.DataSegments, "data segments")
	p.m.dataCount = n
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		active, offset := p.dataHead(r)
		size := len(r.take(int(r.u32())))
		if !active || r.err != nil || p.foreign {
			continue
		}
		if !p.m.memory.present {
			p.addf(CodeInvalid, at, "data segment %d without a memory", i)
		} else if uint64(offset)+uint64(size) > uint64(p.m.memory.min)<<16 {
			p.addf(CodeInvalid, at, "data segment %d does not fit into the memory", i)
		}
	}
}

// dataHead reads a data segment up to its bytes.
func (p *parser) dataHead(r *reader) (active bool, offset uint32) {
	at := r.pos
	switch flags := r.u32(); flags {
	case 0, 2:
		if flags == 2 {
			r.zero("memories")
		}
		c := p.constExpr(r)
		if r.err == nil && !c.is(I32) {
			r.failAt(at, CodeInvalid, "data segment's offset is not an i32")
		}
		return true, c.i32
	case 1:
	default:
		r.failAt(at, CodeMalformed, "unknown kind of data segment")
	}
	return false, 0
}
