package wasmbin_test

// expr pushes a value of the given type.
func (s *smith) expr(t byte, depth int) {
	s.budget--
	if depth > 8 || s.budget <= 0 {
		s.leaf(t)
		return
	}
	switch t {
	case 0x7f:
		s.int32(depth + 1)
	case 0x7e:
		s.int64(depth + 1)
	default:
		s.float(t, depth+1)
	}
}

func (s *smith) leaf(t byte) {
	if s.pick(2) == 0 {
		s.emit(0x20, s.local(t))
		return
	}
	switch t {
	case 0x7f, 0x7e:
		s.constant(t, byte(s.pick(64)))
	case 0x7d:
		s.emit(0x43, 0, 0, byte(s.pick(256)), 0x3f)
	default:
		s.emit(0x44, 0, 0, 0, 0, 0, 0, byte(s.pick(256)), 0x3f)
	}
}

func (s *smith) int32(depth int) {
	switch s.pick(12) {
	case 0, 1:
		s.leaf(0x7f)
	case 2, 3:
		s.expr(0x7f, depth)
		s.divisor(0x7f, depth)
		s.emit(byte(0x6a + s.pick(15))) // add to rotr
	case 4:
		s.expr(0x7e, depth)
		s.expr(0x7e, depth)
		s.emit(byte(0x51 + s.pick(10)))
	case 5:
		s.expr(0x7c, depth)
		s.expr(0x7c, depth)
		s.emit(byte(0x61 + s.pick(6)))
	case 6:
		s.address(depth)
		s.emit([]byte{0x28, 0x2c, 0x2d, 0x2f}[s.pick(4)], 0, byte(s.pick(100)))
	case 7:
		s.emit(0x23, 0)
	case 8:
		s.expr(0x7e, depth)
		s.emit(0xa7)
	case 9:
		s.choice(0x7f, depth)
	case 10:
		s.expr(0x7f, depth)
		s.emit(0x22, s.local(0x7f))
	default:
		s.indirect(depth)
	}
}

// divisor pushes a value that is rarely 0.
func (s *smith) divisor(t byte, depth int) {
	s.expr(t, depth)
	if s.pick(16) != 0 {
		s.constant(t, 3)
		s.emit(map[byte]byte{0x7f: 0x72, 0x7e: 0x84}[t]) // or
	}
}

// constant pushes a small integer; i32.const is 0x41 and i64.const 0x42.
func (s *smith) constant(t, value byte) { s.emit(0x41+0x7f-t, value) }

// choice pushes a value through an if, a block with branches, or a select.
func (s *smith) choice(t byte, depth int) {
	switch s.pick(3) {
	case 0:
		s.expr(0x7f, depth)
		s.nest([]byte{0x04, t}, -2, func() {
			s.expr(t, depth)
			s.emit(0x05)
			s.statements(depth)
			s.expr(t, depth)
		})
		s.emit(0x0b)
	case 1:
		s.nest([]byte{0x02, t}, -2, func() {
			s.expr(t, depth)
			s.expr(0x7f, depth)
			s.emit(0x0d, 0, 0x1a)
			s.expr(t, depth)
		})
		s.emit(0x0b)
	default:
		s.expr(t, depth)
		s.expr(t, depth)
		s.expr(0x7f, depth)
		s.emit(0x1b)
	}
}

// indirect calls through the table when there is a function of the fitting type before this one.
func (s *smith) indirect(depth int) {
	if fn := s.callable(); fn >= 0 && s.mayCall() {
		s.expr(0x7f, depth)
		s.expr(0x7f, depth)
		s.emit(0x41, byte(s.pick(8)/7), 0x71, 0x11, byte(fn), 0) // traps for index 1
		return
	}
	s.leaf(0x7f)
}

func (s *smith) int64(depth int) {
	switch s.pick(7) {
	case 0, 1:
		s.leaf(0x7e)
	case 2:
		s.expr(0x7e, depth)
		s.divisor(0x7e, depth)
		s.emit(byte(0x7c + s.pick(15)))
	case 3:
		s.expr(0x7f, depth)
		s.emit(byte(0xac + s.pick(2)))
	case 4:
		s.emit(0x23, 1)
	case 5:
		s.choice(0x7e, depth)
	default:
		s.address(depth)
		s.emit(0x29, 0, 0)
	}
}

func (s *smith) float(t byte, depth int) {
	f64 := t == 0x7c
	op := func(single, double byte) {
		if f64 {
			single = double
		}
		s.emit(single)
	}
	switch s.pick(5) {
	case 0, 1:
		s.leaf(t)
	case 2:
		s.expr(t, depth)
		s.expr(t, depth)
		k := byte(s.pick(4))
		op(0x92+k, 0xa0+k)
	case 3:
		s.expr(0x7f, depth)
		op(0xb2, 0xb7)
	default:
		s.choice(t, depth)
	}
}
