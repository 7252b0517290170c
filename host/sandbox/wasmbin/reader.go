package wasmbin

import "unicode/utf8"

// reader walks a span of a binary. Its positions are offsets in the whole binary. The first failure sticks: it moves
// the position to the end, so that every loop over input stops, and all later reads return zero values.
type reader struct {
	b   []byte // the whole binary up to the end of the span
	pos int
	err *Error
}

// newReader returns a reader over bin[from:to].
func newReader(bin []byte, from, to int) reader { return reader{b: bin[:to], pos: from} }

func (r *reader) more() bool     { return r.pos < len(r.b) }
func (r *reader) remaining() int { return len(r.b) - r.pos }

func (r *reader) fail(text string) {
	if r.err == nil {
		r.err = &Error{Code: CodeMalformed, Offset: r.pos, Func: -1, Text: text}
		r.pos = len(r.b)
	}
}

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail("unexpected end")
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

// take returns the next n bytes without copying them.
func (r *reader) take(n int) []byte {
	if n < 0 || n > r.remaining() {
		r.fail("unexpected end")
		return nil
	}
	s := r.b[r.pos : r.pos+n]
	r.pos += n
	return s
}

func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	return uint32(r.uleb(32))
}

func (r *reader) s32() int32 { return int32(r.sleb(32)) }
func (r *reader) s33() int64 { return r.sleb(33) }
func (r *reader) s64() int64 { return r.sleb(64) }

// uleb reads an unsigned LEB128 number of at most the given width; unused bits of its last byte must be zero.
func (r *reader) uleb(width uint) uint64 {
	var x uint64
	for shift := uint(0); shift < width; shift += 7 {
		c := r.byte()
		if left := width - shift; left < 7 && c>>left != 0 {
			r.fail("integer too large")
			return 0
		}
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x
		}
	}
	r.fail("integer representation too long")
	return 0
}

// sleb reads a signed LEB128 number of at most the given width; unused bits of its last byte must repeat the sign.
func (r *reader) sleb(width uint) int64 {
	var x int64
	for shift := uint(0); shift < width; shift += 7 {
		c := r.byte()
		if left := width - shift; left < 7 {
			if signs := int8(c<<1) >> left; c >= 0x80 || (signs != 0 && signs != -1) {
				r.fail("integer too large")
				return 0
			}
		}
		x |= int64(c&0x7f) << shift
		if c < 0x80 {
			if rest := shift + 7; rest < 64 && c&0x40 != 0 {
				x |= -1 << rest
			}
			return x
		}
	}
	r.fail("integer representation too long")
	return 0
}

// count reads the length of a vector whose items take at least itemBytes each, and refuses one that cannot fit.
func (r *reader) count(itemBytes int) int {
	n := r.u32()
	if uint64(n) > uint64(r.remaining()/itemBytes) {
		r.fail("vector longer than its section")
		return 0
	}
	return int(n)
}

// name reads a UTF-8 string without copying it.
func (r *reader) name() []byte {
	start := r.pos
	s := r.take(int(r.u32()))
	if !utf8.Valid(s) {
		r.pos = start
		r.fail("name is not valid UTF-8")
		return nil
	}
	return s
}
