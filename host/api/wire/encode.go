package wire

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// reserve makes room for n bytes in buf. Its own Grow would clear all at a stretch.
func reserve(buf *bytes.Buffer, n int) {
	if buf.Available() >= n {
		return
	}
	room := make([]byte, 0, buf.Len()+n)
	*buf = *bytes.NewBuffer(pieces.Append(room, buf.Bytes()))
}

// sized is for messages whose size has been asked for, within the one that holds them: it need not be counted again at each level.
func sized() proto.MarshalOptions { return proto.MarshalOptions{UseCachedSize: true} }

// binaryEncoder appends large messages as Protobuf does, but for the order of fields. It calls look before each field.
type binaryEncoder struct{ look func() }

// message appends the encoding of m, which takes size bytes, to b.
func (e binaryEncoder) message(b []byte, m protoreflect.Message, size int) ([]byte, error) {
	if size <= pieces.Size {
		return sized().MarshalAppend(b, m.Interface()) //nolint:wrapcheck // connect wraps it
	}
	rest := m.New() // fields that are not large
	rest.SetUnknown(m.GetUnknown())
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		e.look()
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			b, err = e.entries(b, f, v.Map())
		case f.IsMap():
			rest.Set(f, v)
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				if b, err = e.field(b, f.Number(), v.List().Get(i).Message()); err != nil {
					break
				}
			}
		case f.IsList():
			rest.Set(f, v)
		case f.Kind() == protoreflect.MessageKind:
			b, err = e.field(b, f.Number(), v.Message())
		case f.Kind() == protoreflect.BytesKind:
			b = appendBytes(b, f.Number(), v.Bytes())
		case f.Kind() == protoreflect.StringKind && len(v.String()) > pieces.Size:
			if !validText(value.BytesOf(v.String()), e.look, utf8.Valid) {
				err = fmt.Errorf("field %s is not UTF-8", f.FullName())
			}
			b = appendBytes(b, f.Number(), v.String())
		default:
			rest.Set(f, v)
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{}.MarshalAppend(b, rest.Interface()) //nolint:wrapcheck // connect wraps it
}

// entries appends a map of messages.
func (e binaryEncoder) entries(b []byte, f protoreflect.FieldDescriptor, entries protoreflect.Map) (_ []byte, err error) {
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		m := v.Message()
		key := k.String()
		if f.MapKey().Kind() != protoreflect.StringKind || !utf8.ValidString(key) {
			err = fmt.Errorf("field %s has a key that is not a UTF-8 string", f.FullName())
			return false
		}
		size := sized().Size(m.Interface())
		b = protowire.AppendTag(b, f.Number(), protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(key))+protowire.SizeTag(2)+protowire.SizeBytes(size)))
		b = protowire.AppendTag(b, f.MapKey().Number(), protowire.BytesType)
		b = protowire.AppendString(b, key)
		b, err = e.field(b, f.MapValue().Number(), m)
		return err == nil
	})
	return b, err
}

// field appends a message as a field.
func (e binaryEncoder) field(b []byte, n protowire.Number, m protoreflect.Message) ([]byte, error) {
	size := sized().Size(m.Interface())
	b = protowire.AppendTag(b, n, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	return e.message(b, m, size)
}

// appendBytes appends a field of bytes or text.
func appendBytes[T []byte | string](b []byte, n protowire.Number, data T) []byte {
	b = protowire.AppendTag(b, n, protowire.BytesType)
	return pieces.Append(protowire.AppendVarint(b, uint64(len(data))), data)
}
