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
	rapid.Check(t, func(t *rapid.T) {
		m := messages(0, 1, 100, pieces.Size-1, pieces.Size, pieces.Size+1, 2*pieces.Size+7).Draw(t, "message")
		m.ProtoReflect().SetUnknown([]byte{0xf8, 0x3f, 1}) // field 1023 is 1
		size := proto.Size(m)
		var buf bytes.Buffer
		w := newPaced(&buf, func() {})
		if err := (binaryEncoder{w}).message(m.ProtoReflect(), size); err != nil {
			t.Fatal(err)
		}
		if err := w.finish(); err != nil || buf.Len() != size {
			t.Fatalf("%d bytes, want %d: %v", buf.Len(), size, err)
		}
		got := &tandemv1.InferResponse{}
		if err := proto.Unmarshal(buf.Bytes(), got); err != nil || !proto.Equal(got, m) {
			t.Errorf("what was read is not what was written: %v", err)
		}
	})
}

// Messages of any shape go through, not only the answers of graphs.
func TestLargeMessagesOfAnyShape(t *testing.T) {
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
		res, err := answered(t, newBinaryCodec, unary, "", m, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(res.Body.Bytes(), got); err != nil || !proto.Equal(got, m) {
			t.Errorf("%s: what was read is not what was written: %v", name, err)
		}
	}
}

// What has no encoding is found before anything of it has been written.
func TestLargeMessagesMustBeUTF8(t *testing.T) {
	long, short, large := strings.Repeat("\xff", pieces.Size+1), "\xff", bytes.Repeat([]byte{7}, 2*largeMessage)
	data := &tandemv1.Value{Kind: &tandemv1.Value_Bytes{Bytes: &tandemv1.Media{Data: large}}}
	for name, m := range map[string]proto.Message{
		"a text":             structpb.NewStringValue(long),
		"a key":              &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{long: {}}},
		"a short key":        &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{"a": data, short: {}}},
		"a short text":       &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{"a": data}, RequestId: short},
		"a text in a map":    &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{"a": data, "b": {Kind: &tandemv1.Value_Json{Json: short}}}},
		"a text in a list":   &tandemv1.Tensor{Data: large, Elements: &tandemv1.Elements{Strings: []string{"a", short}}},
		"a list in messages": &structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue(strings.Repeat("x", largeMessage)), structpb.NewStringValue(short)}},
	} {
		for kind, codec := range codecs {
			if res, err := answered(t, codec, unary, "", m, nil); err == nil || res.Body.Len() > 0 {
				t.Errorf("%s was encoded in %s: %d bytes, %v", name, kind, res.Body.Len(), err)
			}
		}
	}
}
