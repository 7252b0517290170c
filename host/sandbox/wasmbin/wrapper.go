package wasmbin

import "slices"

// wrapperTypes is the type section of the rewritten module: the module's own types, and those that metering adds.
type wrapperTypes struct {
	m     *Module
	extra [][]ValueType // results of added types () -> results
	empty uint32        // index of () -> ()
	found map[string]uint32
}

func (t *wrapperTypes) init(m *Module) {
	t.m = m
	t.found = map[string]uint32{}
	t.empty = t.index(nil)
}

// block returns a block opening whose type takes nothing and leaves results.
func (t *wrapperTypes) block(results []ValueType) []byte {
	switch len(results) {
	case 0:
		return []byte{opBlock, blockEmpty}
	case 1:
		return []byte{opBlock, byte(results[0])}
	default:
		return appendS64([]byte{opBlock}, int64(t.index(results)))
	}
}

// index returns the type () -> results, adding it when the module has none.
func (t *wrapperTypes) index(results []ValueType) uint32 {
	key := make([]byte, len(results))
	for i, v := range results {
		key[i] = byte(v)
	}
	if i, ok := t.found[string(key)]; ok {
		return i
	}
	i := slices.IndexFunc(t.m.types, func(f FuncType) bool {
		return len(f.Params) == 0 && slices.Equal(f.Results, results)
	})
	if i < 0 {
		i = len(t.m.types) + len(t.extra)
		t.extra = append(t.extra, results)
	}
	t.found[string(key)] = uint32(i)
	return uint32(i)
}

// section encodes the type section.
func (t *wrapperTypes) section() []byte {
	b := appendU32(nil, uint32(len(t.m.types)+len(t.extra)))
	b = append(b, t.m.items(secType)...)
	for _, results := range t.extra {
		b = append(b, formFunc, 0)
		b = appendU32(b, uint32(len(results)))
		for _, v := range results {
			b = append(b, byte(v))
		}
	}
	return b
}
