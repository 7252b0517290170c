package wasmbin

// scratch hands out the globals in which yields keep locals. No code of the guest can name them, and no two yields are
// under way at once, so all yields of a module share them.
type scratch struct {
	first uint32      // index of the first one
	types []ValueType // of all that were handed out
	used  []bool
	out   []uint32
}

// take returns a global for each of the given locals. The result is valid until the next call.
func (s *scratch) take(locals []uint32, types []ValueType) []uint32 {
	clear(s.used)
	s.out = s.out[:0]
	for _, l := range locals {
		s.out = append(s.out, s.first+uint32(s.find(types[l])))
	}
	return s.out
}

func (s *scratch) find(t ValueType) int {
	for i, have := range s.types {
		if have == t && !s.used[i] {
			s.used[i] = true
			return i
		}
	}
	s.types, s.used = append(s.types, t), append(s.used, true)
	return len(s.types) - 1
}

// section appends the globals to the items of a global section.
func (s *scratch) section(b []byte) []byte {
	for _, t := range s.types {
		b = appendConst(append(b, byte(t), 1), t, 0)
	}
	return b
}
