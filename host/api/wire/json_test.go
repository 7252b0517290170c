package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

func readJSON(m proto.Message, doc []byte) error {
	return jsonDecoder{protojson.UnmarshalOptions{DiscardUnknown: true}, func() {}, small, largeDepth}.message(m.ProtoReflect(), doc)
}

// What is written is what protojson reads, and what protojson writes is read.
func TestJSONGoesThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := messages(0, 1, small-1, small, small+1, 40).Draw(t, "message")
		_ = proto.Size(m)
		var buf bytes.Buffer
		w := newPaced(&buf, func() {})
		if err := errors.Join((jsonEncoder{w, protojson.MarshalOptions{}, small}).message(m.ProtoReflect()), w.finish()); err != nil {
			t.Fatal(err)
		}
		var got tandemv1.InferResponse
		if err := protojson.Unmarshal(buf.Bytes(), &got); err != nil || !proto.Equal(&got, m) {
			t.Fatalf("protojson reads %v from %s, want %v: %v", &got, buf.Bytes(), m, err)
		}
		doc, err := protojson.MarshalOptions{Multiline: rapid.Bool().Draw(t, "multiline"), UseProtoNames: rapid.Bool().Draw(t, "names")}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got.Reset()
		if err := readJSON(&got, doc); err != nil || !proto.Equal(&got, m) {
			t.Fatalf("read %v from %s, want %v: %v", &got, doc, m, err)
		}
	})
}

// What protojson reads and refuses is read and refused, but for what stands in members that are not known.
func TestJSONIsReadAsProtojsonDoes(t *testing.T) {
	outputs := func(value string) string { return `{"outputs": {"a": ` + value + `}, "requestId": "x"}` }
	for _, doc := range []string{
		``, ` `, `{`, `}`, `{}`, ` {} `, `{} {}`, `[]`, `null`, `"a text that is large"`, `{"outputs"}`, `{"outputs": }`, `{"outputs":: {}}`, `{,}`,
		`{"outputs": {},}`, `{"requestId": "an id that is large"}`, `{"request_id": "an id that is large"}`, `{"request\u0049d": "an id that is large"}`,
		`{"requestId": "an id that is large", "requestId": "another"}`, `{"requestId": "an id that is large", "request_id": "another that is large"}`,
		`{"requestId": 1234567890}`, `{"requestId": ["an id", "that is large"]}`, `{"requestId": {"a": "an id that is large"}}`, `{"requestId": null}`,
		`{"unknown": "something that is large"}`, `{"unknown": {"a": [1, 2, 3, "]"]}, "requestId": "x"}`, `{"requestId": "an id without an end}`,
		`{"requestId": "an id \"in\" quotes\\"}`, `{"requestId": "an id \\\" with escapes"}`, `{"requestId": "an escape \x that is none"}`, `{"requestId": "an escape \u12 that is none"}`,
		`{"requestId": "\ud83d\ude00\ud83d\ude00\ud83d\ude00"}`, `{"requestId": "half \ud83d of a character"}`, `{"requestId": "\u00e9\u00e9\ud83d\ude00"}`, `{"requestId": "\ud83d\ud83d\ude00 x"}`,
		`{"requestId": "escaped \/ slash, é and 😀😀😀 with \n"}`, `{"requestId": "not UTF-8 ` + "\xff" + ` at all"}`, `{"requestId": "not UTF-8 \n` + "\xff" + ` at all"}`,
		`{"requestId": "a line ` + "\n" + ` in the text"}`, `{"requestId": "\t a line ` + "\n" + ` in the text"}`,
		outputs(`{"text": "a text that is large"}`), outputs(`{"text": "a text that is large", "json": "another that is large"}`), outputs(`{"text": "a text that is large", "json": "1"}`),
		outputs(`{"literal": "aGVsbG8gd29ybGQ="}`), outputs(`{"literal": "aGVsbG8gd29ybGQ"}`), outputs(`{"literal": "aGVsbG8_d29-bGQ"}`), outputs(`{"literal": "aGVsbG8\/d29ybGQ="}`),
		outputs(`{"literal": "no base 64 at all!"}`), outputs(`{"literal": "aGVsbG8_d29/bGQ"}`), outputs(`{"list": {"items": [{"text": "a text that is large"}, {"text": "b"}]}}`),
		outputs(`{"list": {"items": [{"text": "a text that is large"}, null]}}`), outputs(`{"list": {"items": [{"text": "a text that is large"},]}}`), outputs(`{"list": {"items": {"text": "a text that is large"}}}`),
		outputs(`{"list": {"items": [{"text": "a text that is large"}}}`), outputs(`{"list": []}`), outputs(`[{"text": "a text that is large"}]`), outputs(`"a text that is large"`), outputs(`null`),
		outputs(`{"tensor": {"elements": {"strings": ["a text that is large", "b", ""], "ints": [1, "2", 3, 4, 5]}}}`), outputs(`{"tensor": {"elements": {"strings": ["a text that is large", 1]}}}`),
		outputs(`{"tensor": {"elements": {"floats": [1.5, "NaN", 3e7, "Infinity"], "bools": [true, false, true]}}}`), outputs(`{"tensor": {"shape": ["1", 2, 3, 4, 5], "dataType": "DATA_TYPE_FP32"}}`),
		`{"outputs": {"a": {"text": "x"}, "a": {"text": "a text that is large"}}}`, `{"outputs": {"a": {"text": "a text that is large"}}, "outputs": {}}`,
		`{"outputs": {"a key that is large": {"text": "x"}, "\u0061": {"text": "x"}}}`, `{"outputs": {1: {"text": "a text that is large"}}}`, `{"outputs": {"a" {"text": "a text that is large"}}}`,
		`{"trace": {"total": "1.000000001s", "nodes": [{"node": "a node that is large", "start": "0.5s"}]}}`, `{"trace": {"total": "one second"}}`,
		`{"requestId": "x", "outputs": {"a": {"text": "a text that is large"}}} more`, "\ufeff{\"requestId\": \"an id that is large\"}",
	} {
		var want, got tandemv1.InferResponse
		wantErr := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(doc), &want)
		gotErr := readJSON(&got, []byte(doc))
		if (wantErr == nil) != (gotErr == nil) {
			t.Errorf("%s: protojson says %v, and this %v", doc, wantErr, gotErr)
		} else if wantErr == nil && !proto.Equal(&want, &got) {
			t.Errorf("%s: protojson reads %v, and this %v", doc, &want, &got)
		}
	}
}

func TestJSONNestedTooDeep(t *testing.T) {
	deep := func(n int) string {
		return strings.Repeat(`{"list": {"items": [`, n) + `{"text": "at the bottom"}` + strings.Repeat(`]}}`, n)
	}
	var v tandemv1.Value
	if err := readJSON(&v, []byte(deep(largeDepth/2-1))); err != nil {
		t.Error(err)
	}
	if err := readJSON(&v, []byte(deep(largeDepth))); err == nil || !strings.Contains(err.Error(), fmt.Sprint(largeDepth)) {
		t.Errorf("deeper than %d: %v", largeDepth, err)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"outputs": {"a": {"text": "a text \n that is large"}, "b": {"literal": "aGVsbG8gd29ybGQ="}}, "requestId": "an id that is large"}`))
	f.Add([]byte(`{"outputs": {"a": {"list": {"items": [{"tensor": {"elements": {"strings": ["\ud83d\ude00 and more", "b"]}}}]}}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var want, got tandemv1.InferResponse
		wantErr := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(doc, &want)
		// A member may be null and then something, and those that are not known are not looked at.
		if err := readJSON(&got, doc); wantErr == nil && (err != nil || !proto.Equal(&want, &got)) {
			t.Errorf("%q: protojson reads %v, and this %v: %v", doc, &want, &got, err)
		}
	})
}
