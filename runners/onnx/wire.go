package onnx

import (
	"fmt"
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one protobuf field as it stands in the file: bytes for strings and messages, value for numbers.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte
	value uint64
}

// fields yields the fields of the message in b, which they alias, and stops after the first error. It allocates nothing.
func fields(b []byte) iter.Seq2[field, error] {
	return func(yield func(field, error) bool) {
		for len(b) > 0 {
			f, n, err := nextField(b)
			if !yield(f, err) || err != nil {
				return
			}
			b = b[n:]
		}
	}
}

// sound yields the fields of a message that [fields] has been through; it stops where that found an error.
func sound(b []byte) iter.Seq[field] {
	return func(yield func(field) bool) {
		for f, err := range fields(b) {
			if err != nil || !yield(f) {
				return
			}
		}
	}
}

func nextField(b []byte) (f field, length int, err error) {
	num, typ, head := protowire.ConsumeTag(b)
	if head < 0 {
		return f, 0, protowire.ParseError(head)
	}
	f.num, f.typ = num, typ
	var n int
	switch typ {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(b[head:])
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b[head:])
		f.value = uint64(v)
	case protowire.Fixed64Type:
		f.value, n = protowire.ConsumeFixed64(b[head:])
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b[head:])
	case protowire.StartGroupType, protowire.EndGroupType:
		return f, 0, fmt.Errorf("field %d is a group", num)
	default:
		return f, 0, fmt.Errorf("field %d has wire type %d", num, typ)
	}
	if n < 0 {
		return f, 0, protowire.ParseError(n)
	}
	return f, head + n, nil
}

// is reports whether f is the field num with bytes in it: a string, a message or packed numbers.
func (f field) is(num protowire.Number) bool { return f.num == num && f.typ == protowire.BytesType }

// isInt reports whether f is the field num with one integer in it.
func (f field) isInt(num protowire.Number) bool { return f.num == num && f.typ == protowire.VarintType }

// packed counts the numbers of size bytes, or varints when size is 0, that f holds, packed or one alone.
func (f field) packed(size int) int64 {
	switch {
	case f.typ != protowire.BytesType:
		return 1
	case size > 0:
		return int64(len(f.bytes) / size)
	}
	n := int64(0)
	for _, b := range f.bytes {
		if b < 0x80 {
			n++
		}
	}
	return n
}
