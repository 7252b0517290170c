package wire

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/internal/pieces"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// values makes values with texts and data of the given sizes, in lists as deep as depth.
func values(depth int, sizes ...int) *rapid.Generator[*tandemv1.Value] {
	return rapid.Custom(func(t *rapid.T) *tandemv1.Value {
		n := rapid.SampledFrom(sizes).Draw(t, "size")
		kinds := 6
		if depth > 0 {
			kinds++
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return &tandemv1.Value{Kind: &tandemv1.Value_Text{Text: strings.Repeat(rapid.SampledFrom([]string{"é", `"\`, "\t\x00", "😀x", "</"}).Draw(t, "text"), n/2)}}
		case 1:
			return &tandemv1.Value{Kind: &tandemv1.Value_Bytes{Bytes: &tandemv1.Media{Data: bytes.Repeat([]byte{7, 255}, n/2), MediaType: "a/b"}}}
		case 2:
			return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{DataType: 2, Shape: []int64{int64(n), 1}, Data: bytes.Repeat([]byte{1}, n)}}}
		case 3:
			return &tandemv1.Value{}
		case 4:
			return &tandemv1.Value{Kind: &tandemv1.Value_Json{Json: strings.Repeat("1", n)}}
		case 5:
			e := &tandemv1.Elements{Ints: make([]int64, n/2), Strings: []string{"a", "", strings.Repeat("b", n)}}
			return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{Elements: e}}}
		}
		items := rapid.SliceOfN(values(depth-1, sizes...), 0, 3).Draw(t, "items")
		return &tandemv1.Value{Kind: &tandemv1.Value_List{List: &tandemv1.ValueList{Items: items}}}
	})
}

// messages makes answers with such values.
func messages(sizes ...int) *rapid.Generator[*tandemv1.InferResponse] {
	return rapid.Custom(func(t *rapid.T) *tandemv1.InferResponse {
		return &tandemv1.InferResponse{
			Outputs:   rapid.MapOfN(rapid.StringMatching(`[a-zé"]{0,3}`), values(2, sizes...), 0, 4).Draw(t, "outputs"),
			RequestId: rapid.SampledFrom([]string{"", "id"}).Draw(t, "id"),
			Trace:     rapid.SampledFrom([]*tandemv1.Trace{nil, {Nodes: []*tandemv1.NodeTrace{{Node: "n", Start: durationpb.New(7)}, {}}}}).Draw(t, "trace"),
		}
	})
}

// Large messages are the same on the wire as Protobuf's own encoding makes them, but for the order of fields.
func TestLargeMessagesKeepTheirContent(t *testing.T) {
	codec := Binary(toldNothing)
	rapid.Check(t, func(t *rapid.T) {
		m := messages(0, 1, 100, pieces.Size-1, pieces.Size, pieces.Size+1, 2*pieces.Size+7).Draw(t, "message")
		m.ProtoReflect().SetUnknown([]byte{0xf8, 0x3f, 1}) // field 1023 is 1
		prefix := rapid.SampledFrom([]string{"", "12345"}).Draw(t, "before it")
		buf := bytes.NewBufferString(prefix)
		if err := codec.MarshalWrite(t.Context(), buf, m); err != nil {
			t.Fatal(err)
		}
		wire, found := bytes.CutPrefix(buf.Bytes(), []byte(prefix))
		if !found || len(wire) != proto.Size(m) {
			t.Fatalf("%d bytes behind %q, want %d", len(wire), prefix, proto.Size(m))
		}
		got := &tandemv1.InferResponse{}
		if err := codec.UnmarshalRead(t.Context(), bytes.NewReader(wire), got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, m) {
			t.Error("what was read is not what was written")
		}
	})
}

// Messages of any shape go through, not only the answers of graphs.
func TestLargeMessagesOfAnyShape(t *testing.T) {
	codec := Binary(toldNothing)
	text := strings.Repeat("x", 2*pieces.Size)
	numbers := make([]*structpb.Value, 300_000)
	for i := range numbers {
		numbers[i] = structpb.NewNumberValue(float64(i))
	}
	for name, m := range map[string]proto.Message{
		"a map of oneofs":  &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewStringValue(text), "b": structpb.NewNullValue()}},
		"a list":           &structpb.ListValue{Values: numbers},
		"a packed list":    &tandemv1.Tensor{Shape: make([]int64, 2*pieces.Size)},
		"nothing but text": structpb.NewStringValue(text),
	} {
		var buf bytes.Buffer
		if err := codec.MarshalWrite(t.Context(), &buf, m); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(buf.Bytes(), got); err != nil || !proto.Equal(got, m) {
			t.Errorf("%s: what was read is not what was written: %v", name, err)
		}
	}
}

func TestLargeMessagesMustBeUTF8(t *testing.T) {
	codec := Binary(toldNothing)
	bad := strings.Repeat("\xff", pieces.Size+1)
	for name, m := range map[string]proto.Message{
		"a text": structpb.NewStringValue(bad),
		"a key":  &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{bad: {}}},
	} {
		var buf bytes.Buffer
		if err := codec.MarshalWrite(t.Context(), &buf, m); err == nil {
			t.Errorf("%s was encoded", name)
		}
	}
}

// The encoding of a large message is written where it stays.
func TestLargeMessagesAreCopiedOnce(t *testing.T) {
	codec := Binary(toldNothing)
	const size = 32 << 20
	m := &tandemv1.Media{Data: make([]byte, size)}
	var buf bytes.Buffer
	made := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for range b.N {
			buf = bytes.Buffer{}
			if err := codec.MarshalWrite(b.Context(), &buf, m); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if made > size+size/8 {
		t.Errorf("%d bytes were allocated for a message of %d", made, size)
	}
}
