package wasmbin_test

import "slices"

// smith turns arbitrary bytes into a valid module that always ends: loops count down locals of their own, and functions
// call only those before them. Floats never reach memory, globals or results, since the bits of a NaN are not
// determined. The last function, exported as "run", takes an i32 and returns an i32 and an i64.
type smith struct {
	data   []byte
	code   []byte
	labels []smithLabel
	sigs   []smithSig
	locals []byte // types of parameters and locals
	first  int    // first loop counter in locals
	loops  int    // loop counters taken
	budget int    // instructions that may still be made
	calls  int    // calls that may still be made in the function
	sized  bool   // has bulk operations, whose charge is not by instruction
}

type smithLabel struct {
	counter int // of a loop; -1 for a block, -2 for one with a result, which branches leave alone
}

type smithSig struct {
	params, results string
}

const (
	smithLocals = 8  // of various types, behind the parameters
	smithLoops  = 12 // counters
)

// smithModule builds a module from bytes and tells whether fuel is also charged for sizes.
func smithModule(data []byte) (b build, sized bool) {
	s := &smith{data: data}
	s.sized = s.pick(2) == 0
	b = build{
		tables: [][]byte{{0x70, 0, 4}},
		mems:   [][]byte{{1, 1, 4}},
		globals: [][]byte{
			{0x7f, 1, 0x41, 1, 0x0b},
			{0x7e, 1, 0x42, 2, 0x0b},
		},
		datas: [][]byte{{0, 0x41, 0, 0x0b, 8, 1, 2, 3, 4, 5, 6, 7, 8}},
	}
	sigs := []smithSig{{"", ""}, {i32, i32}, {i64 + i32, i64}, {i32 + f64, ""}, {"", i32 + i64}}
	n := 1 + s.pick(5)
	for i := range n {
		sig := sigs[s.pick(len(sigs))]
		if i == n-1 {
			sig = smithSig{i32, i32 + i64}
		}
		b.types = append(b.types, typ(sig.params, sig.results))
		b.funcs = append(b.funcs, leb(uint32(i)))
		b.codes = append(b.codes, s.function(sig))
		s.sigs = append(s.sigs, sig)
	}
	if fn := s.callable(); fn >= 0 {
		b.elems = [][]byte{{0, 0x41, 0, 0x0b, 1, byte(fn)}}
	}
	b.exports = [][]byte{export("run", 0, uint32(n-1)), export("memory", 2, 0), export("a", 3, 0), export("b", 3, 1)}
	return b, s.sized
}

// callable returns the one function that is in the table, or -1: the first of type i32 -> i32, so that only functions
// behind it have a reason to call it.
func (s *smith) callable() int { return slices.Index(s.sigs, smithSig{i32, i32}) }

func (s *smith) pick(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	x := int(s.data[0])
	s.data = s.data[1:]
	return x % n
}

func (s *smith) emit(b ...byte) { s.code = append(s.code, b...) }

func (s *smith) function(sig smithSig) []byte {
	types := []byte(i32 + i64 + f32 + f64)
	s.locals = []byte(sig.params)
	decl := leb(smithLocals + 1)
	for i := range smithLocals {
		s.locals = append(s.locals, types[i%len(types)])
		decl = append(decl, 1, types[i%len(types)])
	}
	s.first = len(s.locals)
	for range smithLoops {
		s.locals = append(s.locals, 0) // a counter: not for other use
	}
	decl = append(decl, smithLoops, 0x7f)
	s.code, s.labels, s.loops, s.budget, s.calls = nil, nil, 0, 300, 3
	for len(s.data) > 0 && s.budget > 0 && s.pick(30) != 0 {
		s.statement(0)
	}
	for _, t := range []byte(sig.results) {
		s.expr(t, 0)
	}
	return body(decl, s.code...)
}

// local returns a local of a type; every function has one.
func (s *smith) local(t byte) byte {
	at := s.pick(len(s.locals))
	for s.locals[at] != t {
		at = (at + 1) % len(s.locals)
	}
	return byte(at)
}

func (s *smith) statement(depth int) {
	s.budget--
	simple := []func(int){s.set, s.store, s.globalSet, s.bulk, s.branch, s.callVoid, s.set, s.leave}
	nested := []func(int){s.block, s.loop, s.cond, s.table, s.loop}
	if k := s.pick(len(simple) + len(nested)); k < len(simple) || depth > 6 {
		simple[k%len(simple)](depth + 1)
	} else {
		nested[k-len(simple)](depth + 1)
	}
}

func (s *smith) statements(depth int) {
	for n := 1 + s.pick(4); n > 0 && s.budget > 0; n-- {
		s.statement(depth)
	}
}

func (s *smith) set(depth int) {
	t := []byte(i32 + i64 + f32 + f64)[s.pick(4)]
	s.expr(t, depth)
	s.emit(0x21, s.local(t))
}

// address pushes an address inside the first page.
func (s *smith) address(depth int) {
	s.expr(0x7f, depth)
	s.emit(0x41, 0xff, 0xff, 0x03, 0x71) // & 0xffff: the last bytes may trap
}

func (s *smith) store(depth int) {
	s.address(depth)
	if s.pick(2) == 0 {
		s.expr(0x7f, depth)
		s.emit(0x36, 0, 0)
		return
	}
	s.expr(0x7e, depth)
	s.emit(0x3c, 0, byte(s.pick(100)))
}

func (s *smith) globalSet(depth int) {
	g := byte(s.pick(2))
	s.expr([]byte(i32 + i64)[g], depth)
	s.emit(0x24, g)
}

// bulk makes a bulk operation, or grows the memory.
func (s *smith) bulk(depth int) {
	if !s.sized {
		return
	}
	switch s.pick(4) {
	case 0:
		s.emit(0x41, byte(s.pick(3)), 0x40, 0, 0x1a)
	case 1:
		s.address(depth)
		s.emit(0x41, 7, 0x41, byte(s.pick(60)), 0xfc, 11, 0)
	case 2:
		s.address(depth)
		s.address(depth)
		s.emit(0x41, byte(s.pick(60)), 0xfc, 10, 0, 0)
	default:
		s.address(depth)
		s.emit(0x41, 3)
		s.expr(0x7f, depth)
		s.emit(0x41, 0xff, 0xff, 0x03, 0x71, 0xfc, 11, 0)
	}
}

// branch branches forward, or back to a loop while its counter lasts.
func (s *smith) branch(depth int) {
	if len(s.labels) == 0 {
		return
	}
	l := s.pick(len(s.labels))
	switch c := s.labels[len(s.labels)-1-l].counter; {
	case c >= 0:
		s.again(c)
	case c == -1:
		s.expr(0x7f, depth)
	default:
		return
	}
	s.emit(0x0d, byte(l))
}

// again pushes whether a loop may run once more.
func (s *smith) again(counter int) {
	c := byte(s.first + counter)
	s.emit(0x20, c, 0x41, 1, 0x6a, 0x22, c, 0x41, byte(2+s.pick(20)), 0x49)
}

func (s *smith) leave(depth int) {
	if len(s.labels) == 0 || s.pick(4) != 0 {
		return
	}
	s.expr(0x7f, depth)
	s.emit(0x04, 0x40)
	switch l := len(s.labels) - 1; {
	case s.pick(16) == 0:
		s.emit(0x00) // unreachable
	case s.labels[0].counter == -1:
		s.emit(0x0c, byte(l+1)) // br to the outermost block
	}
	s.emit(0x0b)
}

func (s *smith) nest(head []byte, counter int, inside func()) {
	s.emit(head...)
	s.labels = append(s.labels, smithLabel{counter})
	inside()
	s.labels = s.labels[:len(s.labels)-1]
}

func (s *smith) block(depth int) {
	s.nest([]byte{0x02, 0x40}, -1, func() { s.statements(depth) })
	s.emit(0x0b)
}

func (s *smith) cond(depth int) {
	s.expr(0x7f, depth)
	s.nest([]byte{0x04, 0x40}, -1, func() {
		s.statements(depth)
		if s.pick(2) == 0 {
			s.emit(0x05)
			s.statements(depth)
		}
	})
	s.emit(0x0b)
}

func (s *smith) loop(depth int) {
	if s.loops == smithLoops {
		return
	}
	c := s.loops
	s.loops++
	results := s.pick(3)
	s.nest([]byte{0x03, []byte{0x40, 0x7f, 0x40}[results]}, c, func() {
		s.statements(depth)
		s.again(c)
		s.emit(0x0d, 0)
		s.statements(depth)
		if results == 1 {
			s.expr(0x7f, depth)
		}
	})
	s.emit(0x0b)
	if results == 1 {
		s.emit(0x1a)
	}
}

// table is a br_table out of nested blocks.
func (s *smith) table(depth int) {
	s.nest([]byte{0x02, 0x40}, -1, func() {
		s.nest([]byte{0x02, 0x40}, -1, func() {
			s.nest([]byte{0x02, 0x40}, -1, func() {
				s.expr(0x7f, depth)
				s.emit(0x0e, 3, 0, 1, 2, byte(s.pick(3)))
			})
			s.emit(0x0b)
			s.statements(depth)
		})
		s.emit(0x0b)
		s.statements(depth)
	})
	s.emit(0x0b)
}

func (s *smith) callVoid(depth int) {
	if len(s.sigs) == 0 {
		return
	}
	s.call(s.pick(len(s.sigs)), depth)
}

// mayCall keeps the number of executed calls small: a call in a loop uses up all that a function may make.
func (s *smith) mayCall() bool {
	if s.calls <= 0 {
		return false
	}
	s.calls--
	for _, l := range s.labels {
		if l.counter >= 0 {
			s.calls -= 3
		}
	}
	return true
}

// call calls a function and drops its results.
func (s *smith) call(fn, depth int) {
	sig := s.sigs[fn]
	if depth > 8 || !s.mayCall() {
		return
	}
	for _, t := range []byte(sig.params) {
		s.expr(t, depth+1)
	}
	s.emit(0x10, byte(fn))
	for range sig.results {
		s.emit(0x1a)
	}
}
