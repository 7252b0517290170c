package wasmbin

import "slices"

// A runtime makes an object for each entry of a table whenever it instantiates a module, and Go's linker puts every
// function into the table: 3,000 in a small plugin, which are most of what an instance takes. A large table is replaced
// by one of dispatchers, each of which stands for 64 entries: an indirect call calls the dispatcher of its type and of the upper
// bits of its index, with its operands and the lower bits, and that one calls the function or traps as the call would have.

const (
	// dispatchShift is the binary logarithm of the entries that one dispatcher stands for.
	dispatchShift = 6
	dispatchSize  = 1 << dispatchShift
	// dispatchTypes is the most types of indirect calls for which a table is replaced: each has dispatchers of its own.
	dispatchTypes = 8
	// dispatchGain is by how much the new table must be smaller.
	dispatchGain = 8

	// The first slots of the new table. A call of one traps, as long as the type is not that of the first.
	slotMismatch = 0
	slotNull     = 1
	slotFirst    = 2
)

// dispatch is the plan for one table.
type dispatch struct {
	types   []*FuncType // of the indirect calls
	callee  []uint32    // the type index of the dispatchers, by position in types
	entries []int32     // functions in the old table, -1 for none; a multiple of dispatchSize
	chunks  uint32
	present []uint32 // chunks that have entries
}

// noteIndirect keeps the types of indirect calls: at most one more than a table is replaced for.
func (m *Module) noteIndirect(t *FuncType) {
	if len(m.indirect) <= dispatchTypes && !slices.ContainsFunc(m.indirect, t.equal) {
		m.indirect = append(m.indirect, t)
	}
}

func (t *FuncType) equal(o *FuncType) bool {
	return slices.Equal(t.Params, o.Params) && slices.Equal(t.Results, o.Results)
}

// newDispatch returns the plan for the module's table, or nil when that stays as it is: tables of fewer entries than least
// and those that are changed at run time.
func (w *Rewritten) newDispatch(least uint32) *dispatch {
	m := w.m
	if least == 0 || m.table.min < least || m.features.mutatesTables || m.features.dropsSegments ||
		len(m.indirect) == 0 || len(m.indirect) > dispatchTypes {
		return nil
	}
	d := &dispatch{types: m.indirect, chunks: (m.table.min + dispatchSize - 1) >> dispatchShift}
	d.entries = make([]int32, d.chunks<<dispatchShift)
	for i := range d.entries {
		d.entries[i] = -1
	}
	m.eachElement(func(slot, fn uint32) { d.entries[slot] = int32(fn) })
	for c := range d.chunks {
		if slices.ContainsFunc(d.chunk(c), func(fn int32) bool { return fn >= 0 }) {
			d.present = append(d.present, c)
		}
	}
	if len(d.present) == 0 || least > dispatchGain && d.slots() > m.table.min/dispatchGain {
		return nil
	}
	for _, t := range d.types {
		d.callee = append(d.callee, w.typeIndex(FuncType{Params: append(slices.Clone(t.Params), I32), Results: t.Results}))
	}
	return d
}

// eachElement calls fn for every entry that the element segments put into the table, in their order.
func (m *Module) eachElement(put func(slot, fn uint32)) {
	s := m.sections[secElement]
	if !s.present() {
		return
	}
	r := newReader(m.bin, s.from, s.to)
	p := parser{m: m}
	for range r.u32() {
		e := p.elemHead(&r)
		for i := range uint32(e.items) {
			if e.flags&elemExprs == 0 {
				put(e.offset.i32+i, r.u32())
			} else if c := p.constExpr(&r); !c.null {
				put(e.offset.i32+i, c.fn)
			}
		}
	}
}

func (d *dispatch) chunk(c uint32) []int32 { return d.entries[c<<dispatchShift : (c+1)<<dispatchShift] }

// slots returns the size of the new table.
func (d *dispatch) slots() uint32 { return slotFirst + uint32(len(d.types))*d.chunks }

// base returns the first slot of the dispatchers for the t-th type.
func (d *dispatch) base(t int) uint32 { return slotFirst + uint32(t)*d.chunks }

// functions returns how many dispatchers there are.
func (d *dispatch) functions() int {
	if d == nil {
		return 0
	}
	return len(d.types) * len(d.present)
}

// indirect replaces an indirect call; its index is on the stack.
func (mt *meter) indirect(typeIndex uint32) {
	d := mt.dispatch
	t := slices.IndexFunc(d.types, mt.m.types[typeIndex].equal)
	mt.local(opLocalTee, mt.sizeLocal)
	mt.out = append(mt.i32(dispatchSize-1), opI32And)
	mt.gets(mt.sizeLocal)
	mt.out = append(mt.i32(dispatchShift), opI32ShrU)
	mt.out = append(mt.i32(int64(d.base(t))), opI32Add)
	if t < len(d.types)-1 { // beyond the last one's dispatchers the table ends
		mt.i32(-1)
		mt.gets(mt.sizeLocal)
		mt.out = append(mt.i32(int64(d.chunks<<dispatchShift)), opI32LtU, opSelect)
	}
	mt.local(opCallIndirect, d.callee[t])
	mt.out = append(mt.out, 0)
}

// dispatcher returns the body of the dispatcher for the t-th type and a chunk.
func (mt *meter) dispatcher(t int, chunk uint32) []byte {
	d := mt.dispatch
	typ := d.types[t]
	mt.out = append([]byte(nil), 0)
	var callable []uint32
	labels := make([]int, dispatchSize) // index in callable; -1: another type; -2: nothing
	for i, fn := range d.chunk(chunk) {
		switch {
		case fn < 0:
			labels[i] = -2
		case mt.m.funcType(uint32(fn)).equal(typ):
			labels[i] = len(callable)
			callable = append(callable, uint32(fn))
		default:
			labels[i] = -1
		}
	}
	for range len(callable) + 2 {
		mt.out = append(mt.out, opBlock, blockEmpty)
	}
	mt.gets(uint32(len(typ.Params)))
	mt.local(opBrTable, dispatchSize)
	for _, l := range labels {
		if l < 0 {
			l = len(callable) - 1 - l
		}
		mt.out = appendU32(mt.out, uint32(l))
	}
	mt.out = append(appendU32(mt.out, uint32(len(callable)+1)), opEnd)
	for _, fn := range callable {
		mt.operands(typ)
		mt.local(opCall, mt.fn(fn))
		mt.out = append(mt.out, opReturn, opEnd)
	}
	mismatch := uint32(slotMismatch)
	if typ.equal(&FuncType{}) { // that is the type of what stands there; a dispatcher has another
		mismatch = slotFirst + d.present[0]
	}
	mt.trapAt(t, mismatch)
	mt.out = append(mt.out, opEnd)
	mt.trapAt(t, slotNull)
	return append(mt.out, opEnd)
}

// operands pushes a dispatcher's parameters but for its last.
func (mt *meter) operands(t *FuncType) {
	for i := range t.Params {
		mt.gets(uint32(i))
	}
}

// trapAt calls a slot of the table in a way that traps.
func (mt *meter) trapAt(t int, slot uint32) {
	d := mt.dispatch
	mt.operands(d.types[t])
	mt.i32(int64(slot))
	typeIndex := slices.IndexFunc(mt.m.types, func(o FuncType) bool { return d.types[t].equal(&o) })
	mt.local(opCallIndirect, uint32(typeIndex))
	mt.out = append(mt.out, 0, opReturn)
}

// elements returns the element section of the new table. Dispatchers stand behind all other functions.
func (d *dispatch) elements(mt *meter) []byte {
	fn := mt.slow + 1 + uint32(len(mt.outs.used))
	b := appendU32(nil, uint32(1+d.functions()))
	b = appendElement(b, slotMismatch, mt.slow)
	for t := range d.types {
		for _, c := range d.present {
			b = appendElement(b, d.base(t)+c, fn)
			fn++
		}
	}
	return b
}

// appendElement appends a segment of one function.
func appendElement(b []byte, slot, fn uint32) []byte {
	b = append(appendS64(append(b, 0, opI32Const), int64(slot)), opEnd, 1)
	return appendU32(b, fn)
}
