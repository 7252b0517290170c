package wasmbin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Options says how [Module.Rewrite] changes a module.
type Options struct {
	// MaxPages is the memory maximum, in pages of 64 KiB, written into the module unless its own is lower.
	MaxPages uint32
	// YieldModule and YieldName name the import, of type () -> (), that is called when fuel is gone. The callee either
	// refills the fuel global or does not return.
	YieldModule, YieldName string
	// FuelGlobal is the export name of the mutable i64 global that holds the fuel left. It starts at 0, so that the first
	// charge yields, also in a start function. At a yield it is what is left of the grant; below zero, its absolute value
	// is work charged beyond what was granted. Large bulk operations yield also when something is left. It is exact whenever the guest is not running, also after a trap.
	FuelGlobal string
	// StopGlobal is the export name of a mutable i64 global that only the host writes, also while the guest runs: a check
	// yields when the fuel is below it. It starts at 0. A host that sets it to the largest i64 stops the guest at its next
	// check, however much fuel is left.
	StopGlobal string
	// DispatchTables is the size from which a table that never changes is replaced by a smaller one, whose entries dispatch
	// to the functions. It makes instances smaller and indirect calls slower, by some 2 ns. 0 keeps all tables.
	DispatchTables uint32
	// GlobalPrefix: the module's mutable global N is exported as GlobalPrefix followed by N in decimal.
	GlobalPrefix string
	// StartExport is the export name of the module's start function, if it has one, which the host then calls once the module
	// is instantiated. Default "": the module keeps its start section.
	StartExport string
}

// Rewritten is a metered module.
type Rewritten struct {
	Bin     []byte   // the binary; must not be changed
	Globals []Global // the mutable globals of the guest, without those of metering, in index order

	m       *Module
	bodies  [secTag][]byte // section bodies by identifier; nil for absent ones
	max     uint32         // memory maximum
	scratch scratch        // globals that hold locals during a yield
	types   []FuncType     // added types
}

// Rewrite meters the module, exports its mutable globals, drops custom sections, and fixes table and memory maxima.
// It fails with [CodeReserved] when the module itself uses one of the names in o, and with [CodeLimit] when the memory
// needs more than o.MaxPages. It may be called many times.
func (m *Module) Rewrite(o Options) (*Rewritten, error) {
	if err := m.reserved(o); err != nil {
		return nil, err
	}
	w := &Rewritten{m: m, max: min(o.MaxPages, maxMemoryPages)}
	if m.memory.present {
		if m.memory.hasMax {
			w.max = min(w.max, m.memory.max)
		}
		if m.memory.min > w.max {
			return nil, &Error{CodeLimit, -1, -1, fmt.Sprintf("memory starts with %d pages, at most %d are admitted", m.memory.min, w.max)}
		}
	}
	mt := &meter{m: m, yield: uint32(len(m.importTypes)), fuel: uint32(len(m.globals)), stop: uint32(len(m.globals)) + 1, pages: w.max}
	mt.slow = mt.fn(uint32(m.funcCount())) // behind all functions
	mt.planner.m, mt.planner.inline = m, m.inlineCosts()
	mt.scratch.first = mt.stop + 1
	w.rewriteSections(o, mt)
	w.Bin = w.assemble()
	return w, nil
}

// reserved checks that the module does not use the host's names.
func (m *Module) reserved(o Options) error {
	var p report
	for _, im := range m.imports {
		if im.Module == o.YieldModule && im.Name == o.YieldName {
			p.addf(CodeReserved, -1, "import %s.%s is kept for the host", im.Module, im.Name)
		}
	}
	for _, e := range m.exports {
		if e.Name == o.FuelGlobal || e.Name == o.StopGlobal || o.StartExport != "" && e.Name == o.StartExport || strings.HasPrefix(e.Name, o.GlobalPrefix) {
			p.addf(CodeReserved, -1, "export %q is kept for the host", e.Name)
		}
	}
	return p.err()
}

func (w *Rewritten) rewriteSections(o Options, mt *meter) {
	m := w.m
	w.bodies[secImport] = w.importSection(o)
	mt.dispatch = w.newDispatch(o.DispatchTables)
	if m.table.present {
		size := m.table.min
		if mt.dispatch != nil {
			size = mt.dispatch.slots()
		}
		w.bodies[secTable] = appendU32(appendU32([]byte{1, typeFuncRef, 1}, size), size)
	}
	if m.memory.present {
		w.bodies[secMemory] = w.memorySection(m.memory.min)
	}
	w.bodies[secExport] = w.exportSection(o, mt)
	if m.start >= 0 && o.StartExport == "" {
		w.bodies[secStart] = appendU32(nil, mt.fn(uint32(m.start)))
	}
	w.bodies[secCode] = w.codeSection(mt)
	if mt.dispatch != nil {
		w.bodies[secElement] = mt.dispatch.elements(mt)
	} else if m.sections[secElement].present() {
		w.bodies[secElement] = w.elementSection(mt)
	}
	w.bodies[secDataCount] = m.raw(secDataCount)
	w.bodies[secData] = m.raw(secData)
	// The code has added functions and globals, and these types.
	w.bodies[secFunction] = w.functionSection(mt)
	w.bodies[secType] = w.typeSection()
	w.scratch = mt.scratch
	w.bodies[secGlobal] = w.globalSection(w.m.items(secGlobal))
}

// raw returns a section's body as it is in the input, or nil.
func (m *Module) raw(id byte) []byte {
	s := m.sections[id]
	if !s.present() {
		return nil
	}
	return m.bin[s.from:s.to]
}

// items returns the items of a section that is a vector: its body without the count.
func (m *Module) items(id byte) []byte {
	s := m.sections[id]
	if !s.present() {
		return nil
	}
	r := newReader(m.bin, s.from, s.to)
	r.u32()
	return m.bin[r.pos:s.to]
}

// typeIndex returns the index of a function type, which is added when the module has none like it.
func (w *Rewritten) typeIndex(t FuncType) uint32 {
	same := func(o FuncType) bool { return t.equal(&o) }
	if i := slices.IndexFunc(w.m.types, same); i >= 0 {
		return uint32(i)
	}
	i := slices.IndexFunc(w.types, same)
	if i < 0 {
		i = len(w.types)
		w.types = append(w.types, t)
	}
	return uint32(len(w.m.types) + i)
}

// typeSection joins the module's types and those that were added.
func (w *Rewritten) typeSection() []byte {
	b := appendU32(nil, uint32(len(w.m.types)+len(w.types)))
	b = append(b, w.m.items(secType)...)
	for _, t := range w.types {
		b = append(b, formFunc)
		for _, list := range [][]ValueType{t.Params, t.Results} {
			b = appendU32(b, uint32(len(list)))
			for _, v := range list {
				b = append(b, byte(v))
			}
		}
	}
	return b
}

// functionSection adds the slow path, the outlined operations and the dispatchers to the module's functions.
func (w *Rewritten) functionSection(mt *meter) []byte {
	b := appendU32(nil, uint32(len(w.m.funcTypes)+1+len(mt.outs.used)+mt.dispatch.functions()))
	b = appendU32(append(b, w.m.items(secFunction)...), w.typeIndex(FuncType{}))
	for _, fn := range mt.outs.used {
		b = appendU32(b, w.typeIndex(fn.funcType()))
	}
	if d := mt.dispatch; d != nil {
		for _, t := range d.callee {
			for range d.present {
				b = appendU32(b, t)
			}
		}
	}
	return b
}

func (w *Rewritten) importSection(o Options) []byte {
	b := appendU32(nil, uint32(len(w.m.imports)+1))
	b = append(b, w.m.items(secImport)...)
	b = appendName(appendName(b, o.YieldModule), o.YieldName)
	return appendU32(append(b, byte(KindFunc)), w.typeIndex(FuncType{}))
}

func (w *Rewritten) memorySection(pages uint32) []byte {
	return appendU32(appendU32([]byte{1, 1}, pages), w.max)
}

// globalSection joins the guest's globals, those of metering and the scratch globals.
func (w *Rewritten) globalSection(guest []byte) []byte {
	b := appendU32(nil, uint32(len(w.m.globals)+2+len(w.scratch.types)))
	b = append(b, guest...)
	for range 2 { // fuel and stop
		b = appendConst(append(b, byte(I64), 1), I64, 0)
	}
	return w.scratch.section(b)
}

func (w *Rewritten) exportSection(o Options, mt *meter) []byte {
	for i, g := range w.m.globals {
		if g.mutable {
			w.Globals = append(w.Globals, Global{o.GlobalPrefix + strconv.Itoa(i), uint32(i), g.t})
		}
	}
	start := w.m.start >= 0 && o.StartExport != ""
	count := len(w.m.exports) + len(w.Globals) + 2
	if start {
		count++
	}
	b := appendU32(nil, uint32(count))
	for _, e := range w.m.exports {
		index := e.Index
		if e.Kind == KindFunc {
			index = mt.fn(index)
		}
		b = appendU32(append(appendName(b, e.Name), byte(e.Kind)), index)
	}
	for _, g := range w.Globals {
		b = appendU32(append(appendName(b, g.Name), byte(KindGlobal)), g.Index)
	}
	if start {
		b = appendU32(append(appendName(b, o.StartExport), byte(KindFunc)), mt.fn(uint32(w.m.start)))
	}
	b = appendU32(append(appendName(b, o.FuelGlobal), byte(KindGlobal)), mt.fuel)
	return appendU32(append(appendName(b, o.StopGlobal), byte(KindGlobal)), mt.stop)
}

// elementSection copies the element segments with adapted function indices.
func (w *Rewritten) elementSection(mt *meter) []byte {
	bin := w.m.bin
	s := w.m.sections[secElement]
	r := newReader(bin, s.from, s.to)
	p := parser{m: w.m}
	n := r.u32()
	b := appendU32(nil, n)
	for range n {
		from := r.pos
		e := p.elemHead(&r)
		b = append(b, bin[from:r.pos]...)
		for range e.items {
			b = p.rewriteItem(&r, b, e.flags, mt)
		}
	}
	return b
}

func (p *parser) rewriteItem(r *reader, b []byte, flags uint32, mt *meter) []byte {
	if flags&elemExprs == 0 {
		return appendU32(b, mt.fn(r.u32()))
	}
	from := r.pos
	if c := p.constExpr(r); !c.null {
		return append(appendU32(append(b, opRefFunc), mt.fn(c.fn)), opEnd)
	}
	return append(b, p.m.bin[from:r.pos]...)
}

func (w *Rewritten) codeSection(mt *meter) []byte {
	s := w.m.sections[secCode]
	code := make([]byte, 0, (s.to-s.from)*5/4)
	var body []byte
	for i := range w.m.bodies {
		body = mt.function(body[:0], i)
		code = append(appendU32(code, uint32(len(body))), body...)
	}
	body = mt.slowPath()
	code = append(appendU32(code, uint32(len(body))), body...)
	for _, fn := range mt.outs.used {
		body = mt.outlinedBody(fn)
		code = append(appendU32(code, uint32(len(body))), body...)
	}
	if d := mt.dispatch; d != nil {
		for t := range d.types {
			for _, c := range d.present {
				body = mt.dispatcher(t, c)
				code = append(appendU32(code, uint32(len(body))), body...)
			}
		}
	}
	return append(appendU32(nil, uint32(len(w.m.bodies)+1+len(mt.outs.used)+mt.dispatch.functions())), code...)
}

// sectionOrder is the order of sections in a binary.
const sectionOrder = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0c\x0a\x0b"

// assemble joins the sections into a binary.
func (w *Rewritten) assemble() []byte {
	size := len(header)
	for _, b := range w.bodies {
		size += len(b) + 6
	}
	bin := append(make([]byte, 0, size), header...)
	for _, id := range []byte(sectionOrder) {
		if b := w.bodies[id]; b != nil {
			bin = appendSection(bin, id, b)
		}
	}
	return bin
}
