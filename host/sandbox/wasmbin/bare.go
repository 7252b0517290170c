package wasmbin

import "fmt"

// Data is an active data segment: bytes that stand in memory before anything runs.
type Data struct {
	Offset uint32
	Bytes  []byte // part of the module's binary; must not be changed
}

// Bare returns the rewritten module without start function and active data segments, and these apart: the host writes the
// data into the memory of a new instance and then calls the export start, which is there when the module has a start
// function. One compiled module so serves instances that start from the beginning and, like a baked one, instances
// that start from a snapshot, whose globals and memory size the host sets.
//
// It fails with [CodeReserved] when the module exports something as start, and with [CodeUnsupported] like Bake.
func (w *Rewritten) Bare(start string) (bin []byte, data []Data, err error) {
	if w.m.features.mutatesTables || w.m.features.dropsSegments {
		return nil, nil, &Error{CodeUnsupported, -1, -1, "the code changes tables or drops segments, which a snapshot cannot hold"}
	}
	for _, e := range w.m.exports {
		if e.Name == start {
			return nil, nil, &Error{CodeReserved, -1, -1, fmt.Sprintf("export %q is kept for the host", start)}
		}
	}
	bare := *w
	if fn := bare.bodies[secStart]; fn != nil {
		exports := newReader(bare.bodies[secExport], 0, len(bare.bodies[secExport]))
		b := appendU32(nil, exports.u32()+1)
		b = append(b, bare.bodies[secExport][exports.pos:]...)
		bare.bodies[secExport] = append(append(appendName(b, start), byte(KindFunc)), fn...)
		bare.bodies[secStart] = nil
	}
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
