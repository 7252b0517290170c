package wire

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// small is from where on fields are large in tests, so that few bytes reach everything.
const small = 6

func decoder() binaryDecoder {
	return binaryDecoder{proto.UnmarshalOptions{Merge: true, RecursionLimit: protowire.DefaultRecursionLimit}, small, func() {}}
}

// What Protobuf reads and refuses is read and refused, whatever the bytes are.
func TestBinaryIsReadAsProtobufDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wire, err := proto.Marshal(messages(0, 1, small-1, small, small+1, 40).Draw(t, "message"))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 2).Draw(t, "faults") {
			if len(wire) == 0 {
				break
			}
			at := rapid.IntRange(0, len(wire)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "fault") {
			case 0:
				wire[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				wire = wire[:at]
			case 2:
				wire = append(wire[at:], wire[:at]...)
			}
		}
		agree(t, wire)
	})
}

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree compares what is made of b with what Protobuf makes of it, but for fields that are not known.
func agree(t tester, b []byte) {
	t.Helper()
	var want, got tandemv1.InferResponse
	wantErr := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, &want)
	d := decoder()
	d.DiscardUnknown = true
	gotErr := d.merge(got.ProtoReflect(), bytes.Clone(b))
	if (wantErr == nil) != (gotErr == nil) {
		t.Fatalf("%x: Protobuf says %v, and this %v", b, wantErr, gotErr)
	}
	if wantErr == nil && !proto.Equal(&want, &got) {
		t.Fatalf("%x: Protobuf reads %v, and this %v", b, &want, &got)
	}
}

// Tags need not be as short as they could be, fields may come twice, and messages are merged.
func TestUnusualBinary(t *testing.T) {
	text := func(s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), s)
	}
	entry := func(fields ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), bytes.Join(fields, nil))
	}
	field := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	long := text("a text that is large")
	for name, b := range map[string][]byte{
		"a long tag":              append([]byte{0x8a, 0x80, 0x00}, protowire.AppendBytes(nil, append(field(1, []byte("k")), field(2, long)...))...),
		"an entry without a key":  entry(field(2, long)),
		"an entry without value":  entry(field(1, []byte("a key that is large"))),
		"an entry of two values":  entry(field(1, []byte("k")), field(2, long), field(2, text("x"))),
		"an entry with more":      entry(field(1, []byte("k")), field(7, []byte("something unknown")), field(2, long)),
		"two entries of one key":  append(entry(field(1, []byte("k")), field(2, long)), entry(field(1, []byte("k")), field(2, text("y")))...),
		"a key that is not UTF-8": entry(field(1, []byte("\xff")), field(2, long)),
		"a text that is not":      entry(field(1, []byte("k")), field(2, text("\xff and so on"))),
		"another type":            append(protowire.AppendTag(nil, 2, protowire.VarintType), 1),
		"a group":                 append(protowire.AppendTag(nil, 9, protowire.StartGroupType), protowire.AppendTag(nil, 9, protowire.EndGroupType)...),
		"a group without an end":  protowire.AppendTag(nil, 9, protowire.StartGroupType),
		"a number too large":      entry(field(1<<29, []byte("something"))),
		"a large one of that":     field(1<<29, []byte("something that is large")),
		"one kind, then another":  entry(field(1, []byte("k")), field(2, append(bytes.Clone(long), field(6, field(1, text("in a list")))...))),
	} {
		t.Run(name, func(t *testing.T) { agree(t, b) })
	}
}

func TestLargeFieldsThatAreNotKnown(t *testing.T) {
	b := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "not in this version")
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), "the id of a request")
	var m tandemv1.InferResponse
	if err := decoder().merge(m.ProtoReflect(), b); err != nil || m.GetRequestId() != "the id of a request" || len(m.ProtoReflect().GetUnknown()) > 0 {
		t.Errorf("%v, %v", &m, err)
	}
}

func TestBinaryNestedTooDeep(t *testing.T) {
	deep := func(n int) []byte {
		v := structpb.NewStringValue("at the bottom")
		for range n {
			v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
		}
		b, err := proto.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	d := decoder()
	d.RecursionLimit = 20
	var v structpb.Value
	if err := d.merge(v.ProtoReflect(), deep(9)); err != nil {
		t.Errorf("19 messages in one another: %v", err)
	}
	if err := d.merge(v.ProtoReflect(), deep(10)); err == nil {
		t.Error("21 messages in one another are read")
	}
}

// Large texts and bytes are not copied.
func TestLargeFieldsAreViews(t *testing.T) {
	want := &tandemv1.Value{Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: []*tandemv1.Value{
		{Kind: &tandemv1.Value_Text{Text: strings.Repeat("t", 100)}},
		{Kind: &tandemv1.Value_Literal{Literal: bytes.Repeat([]byte{7}, 100)}},
	}}}}
	b, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	within := func(p *byte) bool {
		at := uintptr(unsafe.Pointer(p)) - uintptr(unsafe.Pointer(&b[0]))
		return at < uintptr(len(b))
	}
	var got tandemv1.Value
	if err := decoder().merge(got.ProtoReflect(), b); err != nil || !proto.Equal(&got, want) {
		t.Fatalf("%v, %v", &got, err)
	}
	items := got.GetList().GetItems()
	if !within(unsafe.StringData(items[0].GetText())) || !within(&items[1].GetLiteral()[0]) {
		t.Error("a text or bytes were copied")
	}
	if l := items[1].GetLiteral(); cap(l) != len(l) {
		t.Error("who appends to bytes writes over what follows them")
	}
}

func FuzzBinary(f *testing.F) {
	for _, m := range []proto.Message{
		&tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{"a": {Kind: &tandemv1.Value_Text{Text: "a text that is large"}}}, RequestId: "an id that is large"},
		&tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{"b": {Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: []*tandemv1.Value{{}, {}}}}}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { agree(t, b) })
}
