package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// maxJSONBytes bounds a JSON document of a guest: checking it takes 5 ns a byte and cannot be interrupted.
const maxJSONBytes = 16 << 20

// fault is what is wrong with a value, without its place; "" is nothing.
type fault string

func faultf(format string, args ...any) fault { return fault(fmt.Sprintf(format, args...)) }

// checkPort compares a value's kind, dtype and shape with what the port declares and binds its symbols. It reads no data.
// Items of a list are checked one by one with the list's port.
func (p *port) check(kind abi.Kind, dtype abi.DType, shape []int64, b *binding) fault {
	if kind != p.kind {
		return faultf("got %s, want %s", kind, p.kind)
	}
	if kind != abi.KindTensor {
		return ""
	}
	if !dtype.Valid() {
		return faultf("element type %d is unknown", uint8(dtype))
	}
	if p.dtype != abi.DTypeNone && dtype != p.dtype {
		return faultf("element type is %s, want %s", dtype, p.dtype)
	}
	if p.anyShape {
		return ""
	}
	if len(shape) != len(p.dims) {
		return faultf("shape %s has rank %d, want %d", value.ShapeString(shape), len(shape), len(p.dims))
	}
	for i, d := range p.dims {
		if want, ok := b.match(d, shape[i]); !ok {
			return faultf("dimension %d of %s is %d, want %d", i, value.ShapeString(shape), shape[i], want)
		}
	}
	return ""
}

// tensorSize compares a tensor's shape with the length of its data.
func tensorSize(dtype abi.DType, shape []int64, n uint64) fault {
	elems, ok := value.Elements(shape)
	if !ok {
		return faultf("shape %s is negative or overflows", value.ShapeString(shape))
	}
	if dtype == abi.BYTES {
		if elems == 0 && n == 0 {
			return ""
		}
		if uint64(elems) >= n/4 { // n/4 > elems, without overflow
			return faultf("shape %s of BYTES needs %d offsets, the data has %d bytes", value.ShapeString(shape), elems, n)
		}
		return ""
	}
	size := uint64(dtype.Size())
	if uint64(elems) > n/size || uint64(elems)*size != n {
		return faultf("shape %s of %s needs %d elements of %d bytes, the data has %d bytes", value.ShapeString(shape), dtype, elems, size, n)
	}
	return ""
}

// content checks what only the data can tell. shape and length were checked by tensorSize.
func content(kind abi.Kind, dtype abi.DType, shape []int64, data []byte) fault {
	switch {
	case kind == abi.KindText && !utf8.Valid(data):
		return "the text is not UTF-8"
	case kind == abi.KindJSON && len(data) > maxJSONBytes:
		return faultf("a JSON document of %d bytes, want at most %d", len(data), maxJSONBytes)
	case kind == abi.KindJSON && (!json.Valid(data) || !utf8.Valid(data)):
		return "the document is not JSON in UTF-8"
	case kind == abi.KindTensor && dtype == abi.BOOL:
		return checkBools(data)
	case kind == abi.KindTensor && dtype == abi.BYTES:
		return checkOffsets(shape, data)
	default:
		return ""
	}
}

func checkBools(data []byte) fault {
	const low = 0x0101010101010101
	i := 0
	for ; i+8 <= len(data); i += 8 {
		if binary.LittleEndian.Uint64(data[i:])&^low != 0 {
			break
		}
	}
	for ; i < len(data); i++ {
		if data[i] > 1 {
			return faultf("element %d of BOOL is %d", i, data[i])
		}
	}
	return ""
}

// checkOffsets checks Arrow's layout: n+1 offsets from 0 to the end of the data, never falling.
func checkOffsets(shape []int64, data []byte) fault {
	n, _ := value.Elements(shape)
	if len(data) == 0 {
		return ""
	}
	end := uint64(len(data)) - 4*uint64(n+1)
	prev := binary.LittleEndian.Uint32(data)
	if prev != 0 {
		return faultf("offset 0 of BYTES is %d", prev)
	}
	for i := int64(1); i <= n; i++ {
		next := binary.LittleEndian.Uint32(data[4*i:])
		if next < prev {
			return faultf("offset %d of BYTES falls from %d to %d", i, prev, next)
		}
		prev = next
	}
	if uint64(prev) != end {
		return faultf("the last offset of BYTES is %d, want %d", prev, end)
	}
	return ""
}

// checkInput checks a value from the engine for a port. Text and JSON are trusted to be what they say.
func (p *port) checkInput(v *value.Value, b *binding) fault {
	if !p.list {
		return p.checkItem(v, b)
	}
	if v.Kind != abi.KindList {
		return faultf("got %s, want a list of %s", v.Describe(), p.kind)
	}
	if len(v.Items) > abi.MaxListLength {
		return faultf("a list of %d, want at most %d", len(v.Items), abi.MaxListLength)
	}
	for i := range v.Items {
		b.item = b.item[:0]
		if f := p.checkItem(&v.Items[i], b); f != "" {
			return faultf("item %d: %s", i, f)
		}
	}
	return ""
}

func (p *port) checkItem(v *value.Value, b *binding) fault {
	if len(v.Shape) > abi.MaxRank {
		return faultf("rank %d, want at most %d", len(v.Shape), abi.MaxRank)
	}
	if f := p.check(v.Kind, v.DType, v.Shape, b); f != "" {
		return f
	}
	if v.Kind != abi.KindTensor {
		return ""
	}
	if f := tensorSize(v.DType, v.Shape, uint64(len(v.Data))); f != "" {
		return f
	}
	if v.DType == abi.BYTES {
		return checkOffsets(v.Shape, v.Data)
	}
	return ""
}
