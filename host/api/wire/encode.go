package wire

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tandem-serve/tandem/host/value"
)

// sized is for messages whose size has been asked for, within the one that holds them: it need not be counted again at each level.
func sized() proto.MarshalOptions { return proto.MarshalOptions{UseCachedSize: true} }

// binaryEncoder writes large messages as Protobuf does, but for the order of fields.
type binaryEncoder struct{ *paced }

// message writes the encoding of m, which takes size bytes.
func (e binaryEncoder) message(m protoreflect.Message, size int) error {
	if size <= largeField {
		e.room(size)
		return e.whole(m, sized())
	}
	rest := m.New() // fields that are not large
	rest.SetUnknown(m.GetUnknown())
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case entries(f):
			err = e.entries(f, v.Map())
		case f.IsMap():
			rest.Set(f, v)
		case f.IsList() && f.Message() != nil:
			err = e.list(f, v.List())
		case f.IsList():
			rest.Set(f, v)
		case f.Kind() == protoreflect.MessageKind:
			err = e.field(f.Number(), v.Message())
		case f.Kind() == protoreflect.BytesKind:
			err = e.bytes(f.Number(), v.Bytes())
		case f.Kind() == protoreflect.StringKind:
			err = e.bytes(f.Number(), value.BytesOf(v.String()))
		default:
			rest.Set(f, v)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return e.whole(rest, proto.MarshalOptions{})
}

// whole writes m at once.
func (e binaryEncoder) whole(m protoreflect.Message, o proto.MarshalOptions) error {
	out, err := o.MarshalAppend(e.AvailableBuffer(), m.Interface())
	if err != nil {
		return err //nolint:wrapcheck // connect wraps it
	}
	_, err = e.Write(out)
	return err
}

// entries reports whether f is a map of messages by texts.
func entries(f protoreflect.FieldDescriptor) bool {
	return f.IsMap() && f.MapKey().Kind() == protoreflect.StringKind && f.MapValue().Kind() == protoreflect.MessageKind
}

// entries writes a map of messages by texts.
func (e binaryEncoder) entries(f protoreflect.FieldDescriptor, entries protoreflect.Map) (err error) {
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		key := k.String()
		size := sized().Size(v.Message().Interface())
		b := protowire.AppendTag(e.AvailableBuffer(), f.Number(), protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(key))+protowire.SizeTag(2)+protowire.SizeBytes(size)))
		if _, err = e.Write(b); err != nil {
			return false
		}
		if err = e.bytes(f.MapKey().Number(), value.BytesOf(key)); err == nil {
			err = e.field(f.MapValue().Number(), v.Message())
		}
		return err == nil
	})
	return err
}

// list writes a list of messages.
func (e binaryEncoder) list(f protoreflect.FieldDescriptor, items protoreflect.List) error {
	for i := range items.Len() {
		if err := e.field(f.Number(), items.Get(i).Message()); err != nil {
			return err
		}
	}
	return nil
}

// field writes a message as a field.
func (e binaryEncoder) field(n protowire.Number, m protoreflect.Message) error {
	size := sized().Size(m.Interface())
	if err := e.head(n, size); err != nil {
		return err
	}
	return e.message(m, size)
}

// bytes writes a field of bytes or text.
func (e binaryEncoder) bytes(n protowire.Number, data []byte) error {
	if err := e.head(n, len(data)); err != nil {
		return err
	}
	_, err := e.Write(data)
	return err
}

// head writes what precedes the size bytes of a field.
func (e binaryEncoder) head(n protowire.Number, size int) error {
	_, err := e.Write(protowire.AppendVarint(protowire.AppendTag(e.AvailableBuffer(), n, protowire.BytesType), uint64(size)))
	return err
}

// encodable returns why m cannot be encoded, which is too late to say when a part of it has been written: it has a text that is not
// UTF-8. It calls look from time to time.
func encodable(m protoreflect.Message, look func()) (err error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				if err = encodableValue(f.MapKey(), k.Value(), look); err == nil {
					err = encodableValue(f.MapValue(), v, look)
				}
				return err == nil
			})
		case f.IsList() && f.Kind() != protoreflect.StringKind && f.Message() == nil:
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				if i%1024 == 0 {
					look()
				}
				err = encodableValue(f, v.List().Get(i), look)
			}
		default:
			err = encodableValue(f, v, look)
		}
		return err == nil
	})
	return err
}

// encodableValue is encodable for a value of the field f, or one of its items.
func encodableValue(f protoreflect.FieldDescriptor, v protoreflect.Value, look func()) error {
	if f.Message() != nil {
		return encodable(v.Message(), look)
	}
	if f.Kind() != protoreflect.StringKind {
		return nil
	}
	text := v.String()
	if len(text) <= largeField && utf8.ValidString(text) || len(text) > largeField && validText(value.BytesOf(text), look, utf8.Valid) {
		return nil
	}
	return fmt.Errorf("field %s is not UTF-8", f.FullName())
}
