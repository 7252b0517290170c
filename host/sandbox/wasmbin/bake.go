package wasmbin

import "fmt"

// Snapshot is the state that [Rewritten.Bake] puts into a module.
type Snapshot struct {
	Pages   uint32   // size of the memory in pages of 64 KiB; becomes the initial size
	Globals []uint64 // raw values in the order of Rewritten.Globals
}

// Bake returns the rewritten module without start function and active data segments, with the snapshot's values as
// initial values of its globals and its pages as the memory's minimum. The memory's content is not in the module: the
// host maps it. The fuel global still starts at 0.
//
// It fails with [CodeSnapshot] when the snapshot does not fit the module, and with [CodeUnsupported] when the code can
// change what a snapshot does not hold: tables ([Module.MutatesTables]) and dropped segments ([Module.DropsSegments]).
func (w *Rewritten) Bake(s Snapshot) ([]byte, error) {
	if err := w.fits(s); err != nil {
		return nil, err
	}
	baked := *w
	baked.bodies[secStart] = nil
	if w.m.memory.present {
		baked.bodies[secMemory] = w.memorySection(s.Pages)
	}
	baked.bodies[secGlobal] = w.bakeGlobals(s.Globals)
	baked.bakeData()
	return baked.assemble(), nil
}

func (w *Rewritten) fits(s Snapshot) error {
	m := w.m
	switch {
	case m.features.mutatesTables || m.features.dropsSegments:
		return &Error{CodeUnsupported, -1, -1, "the code changes tables or drops segments, which a snapshot cannot hold"}
	case len(s.Globals) != len(w.Globals):
		return &Error{CodeSnapshot, -1, -1, fmt.Sprintf("snapshot of %d globals, the module has %d", len(s.Globals), len(w.Globals))}
	case !m.memory.present && s.Pages != 0, m.memory.present && (s.Pages < m.memory.min || s.Pages > w.max):
		return &Error{CodeSnapshot, -1, -1, fmt.Sprintf("snapshot of %d pages, the module's memory has %d to %d", s.Pages, m.memory.min, w.max)}
	}
	return nil
}

func (w *Rewritten) bakeGlobals(values []uint64) []byte {
	var b []byte
	for _, g := range w.m.globals {
		if g.mutable {
			b = appendConst(append(b, byte(g.t), 1), g.t, values[0])
			values = values[1:]
			continue
		}
		b = append(append(b, byte(g.t), 0), w.m.bin[g.init.from:g.init.to]...)
	}
	return w.globalSection(b)
}

// bakeData removes the data segments, or, when the code refers to segments, empties the active ones: after
// instantiation an active segment is empty anyway.
func (w *Rewritten) bakeData() {
	if !w.m.features.memoryInit {
		w.bodies[secData], w.bodies[secDataCount] = nil, nil
		return
	}
	s := w.m.sections[secData]
	r := newReader(w.m.bin, s.from, s.to)
	p := parser{m: w.m}
	n := r.u32()
	b := appendU32(nil, n)
	for range n {
		active, _ := p.dataHead(&r)
		data := r.take(int(r.u32()))
		if active {
			data = nil
		}
		b = append(appendU32(append(b, 1), uint32(len(data))), data...)
	}
	w.bodies[secData] = b
}
