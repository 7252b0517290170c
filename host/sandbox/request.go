package sandbox

import (
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// errorCap is the size of the buffer for a guest's error text.
const errorCap = 1024

// head is the part of a request that is the same for every call of a function: request block, descriptors, names and
// error buffer, with every pointer relative to the block.
type head struct {
	bytes    []byte
	in, out  int   // offsets of the descriptor arrays
	pointers []int // offsets of the fields that need the block's address added
}

func align(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

// newHead lays the head of f out.
func newHead(f *function) *head {
	h := &head{in: abi.RequestSize}
	h.out = h.in + abi.ValueSize*len(f.in)
	h.bytes = make([]byte, h.out+abi.ValueSize*len(f.out))
	h.names(f.in, h.in)
	h.names(f.out, h.out)
	h.bytes = append(h.bytes, make([]byte, int(align(int64(len(h.bytes)), 8))-len(h.bytes))...)
	errAt := len(h.bytes)
	h.bytes = append(h.bytes, make([]byte, int(align(int64(errAt+errorCap), abi.DataAlign))-errAt)...)
	b := h.bytes
	le.PutUint32(b[abi.ReqMagic:], abi.Magic)
	le.PutUint16(b[abi.ReqMajor:], abi.Major)
	le.PutUint16(b[abi.ReqMinor:], abi.Minor)
	le.PutUint32(b[abi.ReqOp:], f.op)
	le.PutUint32(b[abi.ReqNumIn:], uint32(len(f.in)))
	le.PutUint32(b[abi.ReqOutCap:], uint32(len(f.out)))
	le.PutUint32(b[abi.ReqErrCap:], uint32(len(b)-errAt))
	h.pointer(abi.ReqInPtr, h.in)
	h.pointer(abi.ReqOutPtr, h.out)
	h.pointer(abi.ReqErrPtr, errAt)
	return h
}

func (h *head) pointer(field, to int) {
	le.PutUint32(h.bytes[field:], uint32(to))
	h.pointers = append(h.pointers, field)
}

func (h *head) names(ports []port, at int) {
	for i := range ports {
		d := at + abi.ValueSize*i
		h.pointer(d+abi.ValNamePtr, len(h.bytes))
		le.PutUint32(h.bytes[d+abi.ValNameLen:], uint32(len(ports[i].name)))
		h.bytes = append(h.bytes, ports[i].name...)
	}
}

// errAt returns the offset of the error buffer.
func (h *head) errAt() int { return int(le.Uint32(h.bytes[abi.ReqErrPtr:])) }

// measure returns where the next byte goes after v was placed at off.
func measure(off int64, v *value.Value) int64 {
	if v.Kind == abi.KindList {
		off = align(off, abi.DataAlign) + abi.ValueSize*int64(len(v.Items))
		for i := range v.Items {
			off = measure(off, &v.Items[i])
		}
		return off
	}
	if len(v.Data) > 0 {
		off = align(off, abi.DataAlign) + int64(len(v.Data))
	}
	return off + int64(mediaLen(v))
}

// mediaLen returns the bytes that v's media type takes: none when it is too long or the kind has none.
func mediaLen(v *value.Value) int {
	if len(v.Media) > abi.MaxMediaLength || v.Kind != abi.KindBytes && v.Kind != abi.KindImage {
		return 0
	}
	return len(v.Media)
}

// writer writes one request into a transfer arena.
type writer struct {
	buf   []byte // the arena
	base  uint32 // its address in the guest
	off   int
	bytes int64 // payload copied
}

// skip moves to the next multiple of to and clears what it passes.
func (w *writer) skip(to int64) {
	next := int(align(int64(w.off), to))
	clear(w.buf[w.off:next])
	w.off = next
}

func (w *writer) put(b []byte) (addr uint32) {
	addr = w.base + uint32(w.off)
	w.off += pieces.Copy(w.buf[w.off:], b)
	return addr
}

func (w *writer) head(h *head) {
	w.off = copy(w.buf, h.bytes)
	for _, f := range h.pointers {
		le.PutUint32(w.buf[f:], le.Uint32(w.buf[f:])+w.base)
	}
}

// value writes v, whose descriptor stands at d and is clear but for its name. It mirrors measure.
func (w *writer) value(d int, v *value.Value) {
	desc := w.buf[d : d+abi.ValueSize]
	putShape(desc, v)
	switch {
	case v.Kind == abi.KindNone:
		desc[abi.ValFlags] = abi.FlagAbsent
		return
	case v.Kind == abi.KindList:
		w.list(desc, v)
		return
	case len(v.Data) > 0:
		w.skip(abi.DataAlign)
		putData(desc, w.put(v.Data), len(v.Data))
		w.bytes += int64(len(v.Data))
	}
	if n := mediaLen(v); n > 0 {
		le.PutUint32(desc[abi.ValMediaPtr:], w.put([]byte(v.Media)))
		le.PutUint32(desc[abi.ValMediaLen:], uint32(n))
	}
}

func (w *writer) list(desc []byte, v *value.Value) {
	w.skip(abi.DataAlign)
	first, n := w.off, abi.ValueSize*len(v.Items)
	le.PutUint32(desc[abi.ValItems:], uint32(len(v.Items)))
	if n > 0 {
		putData(desc, w.base+uint32(first), n)
	}
	clear(w.buf[first : first+n])
	w.off += n
	for i := range v.Items {
		w.value(first+abi.ValueSize*i, &v.Items[i])
	}
}

// bound is an output whose size follows from the inputs, so that the host can give it a buffer.
type bound struct {
	port int
	off  int64
	val  value.Value // dtype and shape
	size int64
}

// bindable tells whether p's size may be known from the inputs.
func (p *port) bindable() bool {
	return p.kind == abi.KindTensor && !p.list && !p.anyShape && p.dtype.Size() > 0
}

// bind finds the outputs that can be bound and places them from off on. It appends to dst and returns the new end; when
// they would not fit below limit, it binds none.
func bind(dst []bound, f *function, b *binding, off, limit int64) ([]bound, int64) {
	start := off
	for i := range f.out {
		p := &f.out[i]
		if !p.bindable() {
			continue
		}
		shape, ok := p.knownShape(b)
		if !ok {
			continue
		}
		n, ok := value.Elements(shape)
		size := int64(p.dtype.Size())
		if !ok || n == 0 || n > (limit-off)/size {
			continue
		}
		off = align(off, abi.DataAlign)
		dst = append(dst, bound{port: i, off: off, size: n * size, val: value.Value{DType: p.dtype, Shape: shape}})
		off += n * size
	}
	if off > limit {
		return dst[:0], start
	}
	return dst, off
}

func (p *port) knownShape(b *binding) ([]int64, bool) {
	for _, d := range p.dims {
		if _, ok := b.size(d); !ok {
			return nil, false
		}
	}
	shape := make([]int64, len(p.dims))
	for i, d := range p.dims {
		shape[i], _ = b.size(d)
	}
	return shape, true
}

// bound writes the descriptor of a bound output. Its kind stays 0 until the guest sets it.
func (w *writer) bound(h *head, o *bound) {
	desc := w.buf[h.out+abi.ValueSize*o.port:][:abi.ValueSize]
	putShape(desc, &o.val)
	desc[abi.ValFlags] = abi.FlagBound
	putData(desc, w.base+uint32(o.off), int(o.size))
}
