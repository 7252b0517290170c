package wire

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// jsonEncoder writes large messages as protojson does, which keeps to itself what is not large and how a text or a number is written.
type jsonEncoder struct {
	*paced
	protojson.MarshalOptions

	large int // from how many bytes more a field is large
}

// message writes m.
func (e jsonEncoder) message(m protoreflect.Message) error {
	if wellKnown(m.Descriptor()) || sized().Size(m.Interface()) <= e.large {
		return e.whole(m.Interface())
	}
	rest := m.New() // fields that are not large
	before := "{"   // what comes before the next field
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !e.separate(f, v) {
			rest.Set(f, v)
			return true
		}
		_ = e.text(before + `"` + f.JSONName() + `":`)
		before = ","
		err = e.field(m, f, v)
		return err == nil
	})
	if err != nil {
		return err
	}
	return e.rest(before, rest)
}

// rest writes the fields of m without their braces, and what ends the message.
func (e jsonEncoder) rest(before string, m protoreflect.Message) error {
	out, err := e.Marshal(m.Interface())
	if err != nil {
		return err //nolint:wrapcheck // connect wraps it
	}
	out = bytes.TrimSpace(out[1 : len(out)-1])
	if len(out) > 0 || before == "{" {
		_ = e.text(before)
	}
	_, _ = e.Write(out)
	return e.text("}")
}

// separate reports whether a field is written apart from those that are not large.
func (e jsonEncoder) separate(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	switch {
	case f.IsMap():
		return entries(f)
	case f.IsList():
		return true
	case f.Kind() == protoreflect.MessageKind:
		return sized().Size(v.Message().Interface()) > e.large
	}
	return textSize(f, v) > e.large
}

// field writes what a field of m holds.
func (e jsonEncoder) field(m protoreflect.Message, f protoreflect.FieldDescriptor, v protoreflect.Value) error {
	switch {
	case f.IsMap():
		return e.entries(v.Map())
	case f.IsList():
		return e.list(m, f, v.List())
	case f.Kind() == protoreflect.MessageKind:
		return e.message(v.Message())
	case f.Kind() == protoreflect.BytesKind:
		return e.bytes(v.Bytes())
	}
	return e.quoted(f, v.String())
}

// entries writes a map of messages.
func (e jsonEncoder) entries(entries protoreflect.Map) (err error) {
	before := "{"
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		_ = e.text(before)
		before = ","
		if err = e.whole(wrapperspb.String(k.String())); err != nil {
			return false
		}
		_ = e.text(":")
		err = e.message(v.Message())
		return err == nil
	})
	if err != nil {
		return err
	}
	return e.text("}")
}

// list writes a list of m.
func (e jsonEncoder) list(m protoreflect.Message, f protoreflect.FieldDescriptor, items protoreflect.List) error {
	_ = e.text("[")
	for i := 0; i < items.Len(); {
		if i > 0 {
			_ = e.text(",")
		}
		if f.Kind() == protoreflect.MessageKind {
			if err := e.message(items.Get(i).Message()); err != nil {
				return err
			}
			i++
			continue
		}
		n, err := e.items(m.New(), f, items, i)
		if err != nil {
			return err
		}
		i += n
	}
	return e.text("]")
}

// items writes some items of a list of numbers or texts from the one at i on, and returns how many. m is an empty message with the list f.
func (e jsonEncoder) items(m protoreflect.Message, f protoreflect.FieldDescriptor, items protoreflect.List, i int) (n int, err error) {
	const most = 4 << 10
	some, size := m.Mutable(f).List(), 0
	for n < most && i+n < items.Len() && size < e.large {
		v := items.Get(i + n)
		some.Append(v)
		size += textSize(f, v)
		n++
	}
	e.room(e.large)
	out, err := e.MarshalAppend(e.AvailableBuffer(), m.Interface())
	if err != nil {
		return 0, err //nolint:wrapcheck // connect wraps it
	}
	_, err = e.Write(out[bytes.IndexByte(out, '[')+1 : len(out)-len("]}")])
	return n, err
}

// textSize returns the bytes of v when it is a text or bytes of the field f.
func textSize(f protoreflect.FieldDescriptor, v protoreflect.Value) int {
	switch f.Kind() {
	case protoreflect.StringKind:
		return len(v.String())
	case protoreflect.BytesKind:
		return len(v.Bytes())
	default:
		return 0
	}
}

// bytes writes data in base64.
func (e jsonEncoder) bytes(data []byte) error {
	piece := max(e.large/3*3, 3)
	_ = e.text(`"`)
	for len(data) > 0 {
		n := min(piece, len(data))
		e.room(base64.StdEncoding.EncodedLen(n))
		if _, err := e.Write(base64.StdEncoding.AppendEncode(e.AvailableBuffer(), data[:n])); err != nil {
			return err
		}
		data = data[n:]
	}
	return e.text(`"`)
}

// quoted writes the text of a field.
func (e jsonEncoder) quoted(f protoreflect.FieldDescriptor, s string) error {
	_ = e.text(`"`)
	for len(s) > 0 {
		n := runeEnd(s, e.large)
		e.room(n + n/8) // for most texts
		out, err := e.MarshalAppend(e.AvailableBuffer(), wrapperspb.String(s[:n]))
		if err != nil {
			return fmt.Errorf("field %s: %w", f.FullName(), err)
		}
		if _, err := e.Write(out[1 : len(out)-1]); err != nil {
			return err
		}
		s = s[n:]
	}
	return e.text(`"`)
}

// whole writes m at once.
func (e jsonEncoder) whole(m proto.Message) error {
	e.room(e.large)
	out, err := e.MarshalAppend(e.AvailableBuffer(), m)
	if err != nil {
		return err //nolint:wrapcheck // connect wraps it
	}
	_, err = e.Write(out)
	return err
}

// text writes s as it stands. An error stays, so that it need not be looked at before the next.
func (e jsonEncoder) text(s string) error {
	_, err := e.WriteString(s)
	return err
}

// wellKnown reports whether JSON has a form of its own for the message.
func wellKnown(d protoreflect.MessageDescriptor) bool {
	return d.FullName().Parent() == "google.protobuf"
}
