package wire

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// binaryDecoder reads large messages as Protobuf does, but that large texts and bytes are those of the encoding, which is the message's
// from then on, and that large fields which are not known are left out.
type binaryDecoder struct {
	proto.UnmarshalOptions     // with Merge and a limit
	large                  int // from how many bytes more a field is large
	look                   func()
}

// merge merges the encoding b into m.
func (d binaryDecoder) merge(m protoreflect.Message, b []byte) error {
	rest := b // what has not been merged
	for len(b) > 0 {
		field, data, n := d.consume(b, m.Descriptor().Fields())
		if n < 0 {
			return protowire.ParseError(n) //nolint:wrapcheck // connect wraps it
		}
		if data != nil {
			if err := d.Unmarshal(rest[:len(rest)-len(b)], m.Interface()); err != nil {
				return err //nolint:wrapcheck // as above
			}
			if err := d.field(m, field, data); err != nil {
				return err
			}
			rest = b[n:]
		}
		b = b[n:]
	}
	return d.Unmarshal(rest, m.Interface()) //nolint:wrapcheck // as above
}

// consume returns how many bytes the field takes that b begins with, or what is wrong with it, for protowire.ParseError. When it is
// large it returns what it holds, and which of the fields it is; nil is none of them.
func (d binaryDecoder) consume(b []byte, fields protoreflect.FieldDescriptors) (f protoreflect.FieldDescriptor, data []byte, n int) {
	number, kind, n := consumeField(b)
	if n <= d.large || kind != protowire.BytesType {
		return nil, nil, n
	}
	f = fields.ByNumber(number)
	if f != nil && !separate(f) {
		return nil, nil, n
	}
	return f, heldBy(b), n
}

// consumeField is protowire.ConsumeField without the numbers that it lets through and that no field may have.
func consumeField(b []byte) (protowire.Number, protowire.Type, int) {
	number, kind, n := protowire.ConsumeField(b)
	if number > protowire.MaxValidNumber {
		return protowire.ConsumeField([]byte{0}) // such a number too
	}
	return number, kind, n
}

// heldBy returns what the field of bytes holds that b begins with.
func heldBy(b []byte) []byte {
	_, _, tag := protowire.ConsumeTag(b)
	data, _ := protowire.ConsumeBytes(b[tag:])
	return data
}

// separate reports whether large ones of the fields are decoded here. Others are lists of numbers, which are not copied as they are.
func separate(f protoreflect.FieldDescriptor) bool {
	switch f.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return true
	case protoreflect.MessageKind:
		return !f.IsMap() || f.MapKey().Kind() == protoreflect.StringKind && f.MapValue().Kind() == protoreflect.MessageKind
	default:
		return false
	}
}

// field merges a large field into m; nil is a field that m does not know.
func (d binaryDecoder) field(m protoreflect.Message, f protoreflect.FieldDescriptor, data []byte) error {
	switch {
	case f == nil:
		return nil
	case f.IsMap():
		return d.entry(m.Mutable(f).Map(), f, data)
	case f.Kind() == protoreflect.MessageKind && f.IsList():
		return d.inner(m.Mutable(f).List().AppendMutable().Message(), data)
	case f.Kind() == protoreflect.MessageKind:
		return d.inner(m.Mutable(f).Message(), data)
	}
	v, err := d.view(f, data)
	if err != nil {
		return err
	}
	if f.IsList() {
		m.Mutable(f).List().Append(v)
	} else {
		m.Set(f, v)
	}
	return nil
}

// inner merges what another message holds into m.
func (d binaryDecoder) inner(m protoreflect.Message, data []byte) error {
	if d.RecursionLimit--; d.RecursionLimit <= 0 {
		return errors.New("exceeded maximum recursion depth")
	}
	return d.merge(m, data)
}

// entry sets an entry of a map of messages by text. See https://protobuf.dev/programming-guides/encoding/#maps.
func (d binaryDecoder) entry(entries protoreflect.Map, f protoreflect.FieldDescriptor, b []byte) error {
	key, v := protoreflect.ValueOfString(""), entries.NewValue()
	for len(b) > 0 {
		number, kind, n := consumeField(b)
		if n < 0 {
			return protowire.ParseError(n) //nolint:wrapcheck // connect wraps it
		}
		var err error
		switch {
		case kind != protowire.BytesType:
		case number == f.MapKey().Number():
			key, err = d.view(f.MapKey(), heldBy(b))
		case number == f.MapValue().Number():
			err = d.inner(v.Message(), heldBy(b))
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	entries.Set(key.MapKey(), v)
	return nil
}

// view returns data as what a field of text or bytes holds, without copying it.
func (d binaryDecoder) view(f protoreflect.FieldDescriptor, data []byte) (protoreflect.Value, error) {
	if f.Kind() == protoreflect.BytesKind {
		return protoreflect.ValueOfBytes(slices.Clip(data)), nil
	}
	if !validText(data, d.look, utf8.Valid) {
		return protoreflect.Value{}, fmt.Errorf("field %s contains invalid UTF-8", f.FullName())
	}
	return protoreflect.ValueOfString(value.StringOf(data)), nil
}

// runeEnd returns where b can be cut that is at n or soon after: not in a character.
func runeEnd[T []byte | string](b T, n int) int {
	n = min(n, len(b))
	for n < len(b) && !utf8.RuneStart(b[n]) {
		n++
	}
	return n
}

// validText reports whether valid holds for all pieces of a text, which look is called between.
func validText(b []byte, look func(), valid func([]byte) bool) bool {
	for len(b) > 0 {
		n := runeEnd(b, pieces.Size)
		look()
		if !valid(b[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}
