package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// largeDepth is how deep in a JSON document large messages may stand: each is looked through for where it ends once more than the one
// that it stands in.
const largeDepth = 32

// jsonDecoder reads large messages as protojson does, which reads what is not large. Texts without escapes are not copied, and large
// members that are not known are left out without a look at what is in them.
type jsonDecoder struct {
	protojson.UnmarshalOptions
	look  func()
	large int // from how many bytes more a member is large
	depth int // how many messages more may stand in one another
}

// message reads the value raw into m, which is empty.
func (d jsonDecoder) message(m protoreflect.Message, raw []byte) error {
	if len(raw) <= d.large || wellKnown(m.Descriptor()) {
		return d.Unmarshal(raw, m.Interface()) //nolint:wrapcheck // connect wraps it
	}
	if d.depth--; d.depth < 0 {
		return fmt.Errorf("large messages are nested deeper than %d", largeDepth)
	}
	apart, small, err := d.membersApart(m.Descriptor().Fields(), raw)
	if err != nil {
		return err
	}
	if len(apart) == 0 {
		return d.Unmarshal(raw, m.Interface()) //nolint:wrapcheck // as above
	}
	if err := d.Unmarshal(small, m.Interface()); err != nil {
		return err //nolint:wrapcheck // as above
	}
	for _, a := range apart {
		if err := d.member(m, a); err != nil {
			return err
		}
	}
	return nil
}

// jsonMember is a member of an object that is read apart; field is nil when it is not known.
type jsonMember struct {
	field protoreflect.FieldDescriptor
	value []byte
}

// membersApart returns the large members of an object, and an object of the others when there are such.
func (d jsonDecoder) membersApart(fields protoreflect.FieldDescriptors, object []byte) (apart []jsonMember, others []byte, err error) {
	size := len("{}")
	err = eachMember(object, func(quoted, value []byte) error {
		m, large, err := d.memberApart(fields, quoted, value)
		if large {
			apart = append(apart, m)
		} else {
			size += len(quoted) + len(":") + len(value) + len(",")
		}
		return err
	})
	if err != nil || len(apart) == 0 {
		return nil, nil, err
	}
	others = append(make([]byte, 0, size), '{')
	err = eachMember(object, func(quoted, value []byte) error {
		if _, large, _ := d.memberApart(fields, quoted, value); large {
			return nil
		}
		if len(others) > 1 {
			others = append(others, ',')
		}
		others = append(append(append(others, quoted...), ':'), value...)
		return nil
	})
	return apart, append(others, '}'), err
}

// memberApart returns a member and whether it is one to be read apart.
func (d jsonDecoder) memberApart(fields protoreflect.FieldDescriptors, quoted, value []byte) (m jsonMember, large bool, err error) {
	if len(quoted)+len(value) <= d.large || value[0] == 'n' { // null is no value
		return jsonMember{}, false, nil
	}
	name, err := d.text(quoted)
	if err != nil {
		return jsonMember{}, false, err
	}
	m = jsonMember{fields.ByJSONName(name), value}
	if m.field == nil {
		m.field = fields.ByTextName(name)
	}
	return m, m.field == nil || separate(m.field), nil
}

// member reads a member into m.
func (d jsonDecoder) member(m protoreflect.Message, a jsonMember) error {
	f := a.field
	if f == nil {
		return nil
	}
	if o := f.ContainingOneof(); m.Has(f) || o != nil && m.WhichOneof(o) != nil {
		return fmt.Errorf("field %s is set twice", f.FullName())
	}
	switch {
	case f.IsMap():
		return d.entries(m.Mutable(f).Map(), f, a.value)
	case f.IsList():
		items := m.Mutable(f).List()
		return eachItem(a.value, func(raw []byte) error {
			v, err := d.value(f, items.NewElement(), raw)
			if err == nil {
				items.Append(v)
			}
			return err
		})
	}
	v, err := d.value(f, m.NewField(f), a.value)
	if err == nil {
		m.Set(f, v)
	}
	return err
}

// entries reads a map of messages by text.
func (d jsonDecoder) entries(entries protoreflect.Map, f protoreflect.FieldDescriptor, object []byte) error {
	return eachMember(object, func(quoted, raw []byte) error {
		name, err := d.text(quoted)
		if err != nil {
			return err
		}
		key := protoreflect.ValueOfString(name).MapKey()
		if entries.Has(key) {
			return fmt.Errorf("field %s has %.100q twice", f.FullName(), name)
		}
		v, err := d.value(f.MapValue(), entries.NewValue(), raw)
		if err == nil {
			entries.Set(key, v)
		}
		return err
	})
}

// value reads what the field f holds, or one of what it holds; empty is what it is when nothing is set.
func (d jsonDecoder) value(f protoreflect.FieldDescriptor, empty protoreflect.Value, raw []byte) (protoreflect.Value, error) {
	if f.Kind() == protoreflect.MessageKind {
		return empty, d.message(empty.Message(), raw)
	}
	s, err := d.text(raw)
	if err == nil && f.Kind() == protoreflect.StringKind {
		return protoreflect.ValueOfString(s), nil
	}
	var data []byte
	if err == nil {
		data, err = encodingOf(s).DecodeString(s)
	}
	if err != nil {
		return protoreflect.Value{}, fmt.Errorf("field %s: %w", f.FullName(), err)
	}
	return protoreflect.ValueOfBytes(data), nil
}

// encodingOf returns the base64 that s is in: either alphabet, with or without padding.
// See https://protobuf.dev/programming-guides/json/, bytes.
func encodingOf(s string) *base64.Encoding {
	e := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		e = base64.URLEncoding
	}
	if len(s)%4 != 0 {
		e = e.WithPadding(base64.NoPadding)
	}
	return e
}

// text returns the text that stands in quotes, which stands in quoted when it has no escapes.
func (d jsonDecoder) text(quoted []byte) (string, error) {
	if quoted[0] != '"' {
		return "", fmt.Errorf("unexpected %.20q in JSON, want a text", quoted[:min(len(quoted), 20)])
	}
	in := quoted[1 : len(quoted)-1]
	if pieces.IndexByte(in, '\\') < 0 {
		return value.StringOf(in), d.check(in)
	}
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		d.look()
		n := unescapedEnd(in, d.large)
		var s wrapperspb.StringValue
		if err := protojson.Unmarshal([]byte(`"`+value.StringOf(in[:n])+`"`), &s); err != nil {
			return "", err //nolint:wrapcheck // connect wraps it
		}
		out = append(out, s.GetValue()...)
		in = in[n:]
	}
	return value.StringOf(out), nil
}

// check reports what is wrong with a text without escapes.
func (d jsonDecoder) check(b []byte) error {
	if !validText(b, d.look, utf8.Valid) {
		return errors.New("invalid UTF-8 in JSON")
	}
	if !validText(b, d.look, func(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c < ' ' }) }) {
		return errors.New("control characters in JSON must be escaped")
	}
	return nil
}

// isFirstOfTwo reports whether b begins with the escape of the first half of a character. See RFC 8259, section 7.
func isFirstOfTwo(b []byte) bool {
	return len(b) >= 4 && b[1] == 'u' && b[2]|' ' == 'd' && strings.IndexByte("89abAB", b[3]) >= 0
}

// unescapedEnd returns where b can be cut that is at n or soon after: neither in a character nor in an escape, nor between the two
// escapes of one character.
func unescapedEnd(b []byte, n int) int {
	i := 0
	for i < min(n, len(b)) {
		switch {
		case b[i] != '\\':
			i++
		case isFirstOfTwo(b[i:]):
			i += 12
		case bytes.HasPrefix(b[i:], []byte(`\u`)):
			i += 6
		default:
			i += 2
		}
	}
	return runeEnd(b, i)
}
