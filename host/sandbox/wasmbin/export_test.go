package wasmbin

// CountInstructions returns the module with a counter of executed instructions: a mutable i64 global exported as name.
// Block structure (block, loop, else, end) is not counted. It is the reference that metering is compared with.
func CountInstructions(m *Module, name string) []byte {
	w := &Rewritten{m: m, max: maxMemoryPages}
	for id := range w.bodies {
		if byte(id) != secCustom {
			w.bodies[id] = m.raw(byte(id))
		}
	}
	counter := uint32(len(m.globals))
	globals := append(appendU32(nil, counter+1), m.items(secGlobal)...)
	w.bodies[secGlobal] = appendConst(append(globals, byte(I64), 1), I64, 0)
	exports := append(appendU32(nil, uint32(len(m.exports)+1)), m.items(secExport)...)
	w.bodies[secExport] = appendU32(append(appendName(exports, name), byte(KindGlobal)), counter)
	code := appendU32(nil, uint32(len(m.bodies)))
	for _, b := range m.bodies {
		body := countBody(m, b, counter)
		code = append(appendU32(code, uint32(len(body))), body...)
	}
	w.bodies[secCode] = code
	return w.assemble()
}

func countBody(m *Module, b body, counter uint32) []byte {
	r := newReader(m.bin, b.code.from, b.code.to)
	for range r.u32() {
		r.u32()
		r.byte()
	}
	out := append([]byte(nil), m.bin[b.code.from:r.pos]...)
	var in instr
	for r.more() {
		r.instr(&in)
		switch in.op {
		case opBlock, opLoop, opElse, opEnd:
		default:
			out = appendU32(append(out, opGlobalGet), counter)
			out = append(out, opI64Const, 1, 0x7c)
			out = appendU32(append(out, opGlobalSet), counter)
		}
		out = append(out, m.bin[in.start:in.end]...)
	}
	return out
}
