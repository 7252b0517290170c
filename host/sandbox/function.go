package sandbox

import (
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// function is a declared function in the form that calls use. It is immutable.
type function struct {
	op       uint32
	name     string
	in, out  []port
	symbols  []string       // names of dimensions that are one number over the whole call, by index
	outcomes map[int]string // by number
	with     *jsonschema.Schema
}

// port is a declared input or output.
type port struct {
	name           string
	kind           abi.Kind
	dtype          abi.DType // DTypeNone means any
	anyShape       bool
	dims           []dim
	optional, list bool
}

// dim is one declared dimension: a size when sym is symNone, anything when it is symAny, otherwise the symbol sym. A
// symbol from itemSymbols on is one number within one item of a list.
type dim struct {
	size int64
	sym  int
}

const (
	symNone = -1
	symAny  = -2
	// itemSymbols separates the symbols of a call from those of one item.
	itemSymbols = 1 << 16
)

// symbols gives numbers to the names of dimensions.
type symbols struct {
	index map[string]int
	free  map[string]bool // names that stand outside lists too
	names []string
	items []string
}

// collect notes which names stand at a port that is no list.
func (s *symbols) collect(ports []abi.Port) {
	for i := range ports {
		for _, d := range ports[i].Shape {
			if d.Name != "" && !ports[i].List {
				s.free[d.Name] = true
			}
		}
	}
}

func (s *symbols) use(name string) int {
	if n, ok := s.index[name]; ok {
		return n
	}
	var n int
	if s.free[name] {
		n = len(s.names)
		s.names = append(s.names, name)
	} else {
		n = itemSymbols + len(s.items)
		s.items = append(s.items, name)
	}
	s.index[name] = n
	return n
}

// binding holds what the symbols of one call stand for; unbound ones are -1.
type binding struct {
	call []int64
	item []itemBinding
}

// itemBinding is a symbol that was bound within the current item.
type itemBinding struct {
	sym  int
	size int64
}

// reset unbinds everything and makes room for n symbols.
func (b *binding) reset(n int) {
	if cap(b.call) < n {
		b.call = make([]int64, n)
	}
	b.call = b.call[:n]
	for i := range b.call {
		b.call[i] = -1
	}
	b.item = b.item[:0]
}

// match compares got with the declared dimension. On a mismatch it returns the wanted size and false.
func (b *binding) match(d dim, got int64) (want int64, ok bool) {
	switch {
	case d.sym == symAny:
		return got, true
	case d.sym == symNone:
		return d.size, d.size == got
	case d.sym >= itemSymbols:
		for _, i := range b.item {
			if i.sym == d.sym {
				return i.size, i.size == got
			}
		}
		b.item = append(b.item, itemBinding{d.sym, got})
		return got, true
	default:
		if b.call[d.sym] < 0 {
			b.call[d.sym] = got
		}
		return b.call[d.sym], b.call[d.sym] == got
	}
}

// size returns what a declared dimension is known to be.
func (b *binding) size(d dim) (n int64, ok bool) {
	switch {
	case d.sym == symNone:
		return d.size, true
	case d.sym >= 0 && d.sym < itemSymbols:
		return b.call[d.sym], b.call[d.sym] >= 0
	default:
		return 0, false
	}
}
