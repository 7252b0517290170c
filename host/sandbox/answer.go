package sandbox

import (
	"strings"
	"unicode/utf8"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// reader reads values out of a guest's memory while the guest does not run.
type reader struct {
	mem     []byte // the whole linear memory
	handles *handles
	budget  int64     // bytes that may still be read, counted by descriptor
	views   []*[]byte // data that is the guest's memory
	viewed  int64     // their bytes
}

// span returns n bytes at addr.
func (r *reader) span(addr uint32, n uint64) ([]byte, bool) {
	size := uint64(len(r.mem))
	if uint64(addr) > size || n > size-uint64(addr) {
		return nil, false
	}
	return r.mem[addr:][:n:n], true
}

// value fills v with what d describes, lists included when p allows them. With p nil every kind is welcome.
func (r *reader) value(v *value.Value, d *descriptor, p *port, b *binding) fault {
	if d.flags&abi.FlagHostSide != 0 {
		return r.hostSide(v, d, p, b)
	}
	if p != nil && p.list {
		return r.list(v, d, p, b)
	}
	return r.single(v, d, p, b)
}

func (r *reader) hostSide(v *value.Value, d *descriptor, p *port, b *binding) fault {
	h, ok := r.handles.give(d.handle)
	if !ok {
		return faultf("handle %d does not exist", d.handle)
	}
	if p != nil {
		if f := p.checkInput(h, b); f != "" {
			return f
		}
	}
	if r.budget -= h.Size(); r.budget < 0 {
		return "the outputs are larger than the limit"
	}
	*v = *h
	return ""
}

func (r *reader) list(v *value.Value, d *descriptor, p *port, b *binding) fault {
	if d.kind != abi.KindList {
		return faultf("got %s, want a list of %s", d.kind, p.kind)
	}
	if d.items > abi.MaxListLength {
		return faultf("a list of %d, want at most %d", d.items, abi.MaxListLength)
	}
	if d.dataLen != uint64(d.items)*abi.ValueSize {
		return faultf("a list of %d with %d bytes of descriptors, want %d", d.items, d.dataLen, d.items*abi.ValueSize)
	}
	array, ok := r.span(d.dataPtr, d.dataLen)
	if d.items > 0 && (!ok || d.dataPtr%8 != 0) {
		return faultf("the descriptors at 0x%x lie outside memory or are not aligned to 8", d.dataPtr)
	}
	v.Kind = abi.KindList
	v.Items = make([]value.Value, d.items)
	for i := range v.Items {
		item := readDescriptor(array[abi.ValueSize*i:])
		b.item = b.item[:0]
		f := r.item(&v.Items[i], &item, p, b)
		if f != "" {
			return faultf("item %d: %s", i, f)
		}
	}
	return ""
}

func (r *reader) item(v *value.Value, d *descriptor, p *port, b *binding) fault {
	if d.flags&abi.FlagHostSide == 0 {
		return r.single(v, d, p, b)
	}
	h, ok := r.handles.give(d.handle)
	if !ok {
		return faultf("handle %d does not exist", d.handle)
	}
	if f := p.checkItem(h, b); f != "" {
		return f
	}
	if r.budget -= h.Size(); r.budget < 0 {
		return "the outputs are larger than the limit"
	}
	*v = *h
	return ""
}

// single reads a value that is no list.
func (r *reader) single(v *value.Value, d *descriptor, p *port, b *binding) fault {
	if f := r.shape(v, d); f != "" {
		return f
	}
	if p != nil {
		if f := p.check(v.Kind, v.DType, v.Shape, b); f != "" {
			return f
		}
	}
	if v.Kind == abi.KindTensor {
		if f := tensorSize(v.DType, v.Shape, d.dataLen); f != "" {
			return f
		}
	}
	if f := r.data(v, d); f != "" {
		return f
	}
	if f := content(v.Kind, v.DType, v.Shape, v.Data); f != "" {
		return f
	}
	return r.media(v, d)
}

// shape copies kind, dtype and dimensions, and checks what can be checked without a port.
func (r *reader) shape(v *value.Value, d *descriptor) fault {
	v.Kind = d.kind
	switch d.kind {
	case abi.KindTensor:
	case abi.KindBytes, abi.KindText, abi.KindJSON, abi.KindImage:
		if d.rank != 0 || d.dtype != abi.DTypeNone {
			return faultf("%s with dtype %d and rank %d, want 0 and 0", d.kind, uint8(d.dtype), d.rank)
		}
		return ""
	case abi.KindList:
		return "a list where a single value is expected"
	default:
		return faultf("kind %d is unknown", uint8(d.kind))
	}
	if d.rank > abi.MaxRank {
		return faultf("rank %d, want at most %d", d.rank, abi.MaxRank)
	}
	if !d.dtype.Valid() {
		return faultf("element type %d is unknown", uint8(d.dtype))
	}
	v.DType = d.dtype
	v.Shape = append(make([]int64, 0, d.rank), d.dims[:d.rank]...)
	return ""
}

func (r *reader) data(v *value.Value, d *descriptor) fault {
	if d.dataLen == 0 {
		return ""
	}
	data, ok := r.span(d.dataPtr, d.dataLen)
	if !ok {
		return faultf("data of %d bytes at 0x%x lies outside memory", d.dataLen, d.dataPtr)
	}
	if a := elementAlign(v); d.dataPtr%a != 0 {
		return faultf("data at 0x%x is not aligned to %d", d.dataPtr, a)
	}
	if r.budget -= int64(len(data)); r.budget < 0 {
		return "the outputs are larger than the limit"
	}
	v.Data = data
	r.views = append(r.views, &v.Data)
	r.viewed += align(int64(len(data)), abi.DataAlign)
	return ""
}

func elementAlign(v *value.Value) uint32 {
	switch {
	case v.Kind != abi.KindTensor:
		return 1
	case v.DType == abi.BYTES:
		return 4
	default:
		return uint32(v.DType.Size())
	}
}

func (r *reader) media(v *value.Value, d *descriptor) fault {
	if d.mediaLen == 0 {
		return ""
	}
	b, ok := r.span(d.mediaPtr, uint64(d.mediaLen))
	if !ok || d.mediaLen > abi.MaxMediaLength {
		return faultf("a media type of %d bytes at 0x%x lies outside memory or is longer than %d", d.mediaLen, d.mediaPtr, abi.MaxMediaLength)
	}
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return "the media type is not printable ASCII"
		}
	}
	v.Media = string(b)
	return ""
}

// detach copies everything that is still the guest's memory into one block, and returns that and its payload bytes.
func (r *reader) detach() (block []byte, n int64) {
	if len(r.views) == 0 {
		return nil, 0
	}
	block = r.handles.block(r.viewed)
	for _, v := range r.views {
		off := len(block)
		block = pieces.Append(block, *v)
		n += int64(len(*v))
		*v = block[off:len(block):len(block)]
		pad := int(align(int64(len(block)), abi.DataAlign)) - len(block)
		block = block[:len(block)+pad]
	}
	r.views = nil
	return block, n
}

// answer reads the outputs of a call. On a fault it names the port, "" when it is about none.
func (r *reader) answer(f *function, numOut, outPtr uint32, required bool, b *binding) (out []value.Value, portName string, flt fault) {
	if numOut > uint32(len(f.out)) {
		return nil, "", faultf("%d outputs, want at most %d", numOut, len(f.out))
	}
	array, ok := r.span(outPtr, uint64(len(f.out))*abi.ValueSize)
	if !ok {
		return nil, "", "the output descriptors lie outside memory"
	}
	out = make([]value.Value, len(f.out))
	for i := range f.out {
		p := &f.out[i]
		d := descriptor{flags: abi.FlagAbsent}
		if uint32(i) < numOut {
			d = readDescriptor(array[abi.ValueSize*i:])
		}
		if d.kind == abi.KindNone && d.flags&abi.FlagHostSide == 0 || d.flags&abi.FlagAbsent != 0 {
			if required && !p.optional {
				return nil, p.name, "missing"
			}
			continue
		}
		if flt := r.value(&out[i], &d, p, b); flt != "" {
			return nil, p.name, flt
		}
	}
	return out, "", ""
}

// guestText returns what a guest wrote as text that is fit for logs and messages: valid UTF-8 without control characters.
func guestText(b []byte) string {
	s := string(b)
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(c rune) rune {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}
