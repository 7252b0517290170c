package wasmbin

// Data is an active data segment: bytes that stand in memory before anything runs.
type Data struct {
	Offset uint32
	Bytes  []byte // part of the module's binary; must not be changed
}

// Bare returns the rewritten module without start section and active data segments, and these apart: the host writes the
// data into the memory of a new instance and then calls the start function, which is exported with
// [Options].StartExport. One compiled module so serves instances that start from the beginning and, like a baked one,
// instances that start from a snapshot, whose globals and memory size the host sets.
//
// It fails with [CodeUnsupported] like Bake.
func (w *Rewritten) Bare() (bin []byte, data []Data, err error) {
	if w.m.features.mutatesTables || w.m.features.dropsSegments {
		return nil, nil, &Error{CodeUnsupported, -1, -1, "the code changes tables or drops segments, which a snapshot cannot hold"}
	}
	bare := *w
	bare.bodies[secStart] = nil
	bare.bakeData()
	return bare.assemble(), w.m.activeData(), nil
}

// activeData lists the active data segments.
func (m *Module) activeData() (all []Data) {
	s := m.sections[secData]
	if !s.present() {
		return nil
	}
	r := newReader(m.bin, s.from, s.to)
	p := parser{m: m}
	for range r.u32() {
		active, offset := p.dataHead(&r)
		b := r.take(int(r.u32()))
		if active && len(b) > 0 {
			all = append(all, Data{Offset: offset, Bytes: b})
		}
	}
	return all
}
