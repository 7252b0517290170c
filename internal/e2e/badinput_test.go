package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// wantFailure checks what a caller learns of a failed call: the code, the stable reason, and words of the text.
func wantFailure(t *testing.T, err error, code connect.Code, reason tandemv1.Reason, words ...string) *tandemv1.ErrorDetail {
	t.Helper()
	if err == nil {
		t.Fatal("the call succeeded")
	}
	if connect.CodeOf(err) != code || client.Reason(err) != reason {
		t.Errorf("got %v %v, want %v %v: %v", connect.CodeOf(err), client.Reason(err), code, reason, err)
	}
	text := client.Message(err)
	for _, f := range client.Detail(err).GetFaults() {
		text += "\n" + f.GetCode() + " " + f.GetNode() + " " + f.GetPort() + " " + f.GetMessage() + " " + f.GetExpected() + " " + f.GetFound()
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("the text does not say %q:\n%s", w, text)
		}
	}
	if client.Detail(err).GetRequestId() == "" {
		t.Error("the error does not name the request")
	}
	return client.Detail(err)
}

func TestBadImages(t *testing.T) {
	s := examples(t)
	png, err := os.ReadFile(filepath.Join(root(t), "examples", "images", "tiny.png"))
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(png)
	binary.BigEndian.PutUint32(huge[16:], 60000)
	binary.BigEndian.PutUint32(huge[20:], 60000)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	for name, tc := range map[string]struct {
		data  []byte
		words string
	}{
		"not an image":           {[]byte("%PDF-1.7 hello"), "not"},
		"empty":                  {nil, ""},
		"a header of 60000x6000": {huge, "60000"},
		"cut in half":            {png[:len(png)/2], ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Client.Infer(bounded(t), rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(tc.data)})
			d := wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_IMAGE_INVALID, tc.words)
			if d.GetGraph() != rig.GraphOCR || d.GetNode() == "" || d.GetPort() != "image" {
				t.Errorf("the place is %q %q %q, want the graph, a node and port image", d.GetGraph(), d.GetNode(), d.GetPort())
			}
		})
	}
}

func TestBadInputs(t *testing.T) {
	s := examples(t)
	for name, tc := range map[string]struct {
		graph  string
		in     map[string]*tandemv1.Value
		code   connect.Code
		reason tandemv1.Reason
		words  []string
	}{
		"missing": {
			rig.GraphSideBySide, nil, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INPUT_INVALID, []string{"input text (text) is missing"},
		},
		"one too many": {
			rig.GraphSideBySide,
			map[string]*tandemv1.Value{"text": client.Text("x"), "more": client.Text("y")},
			connect.CodeInvalidArgument, tandemv1.Reason_REASON_INPUT_INVALID,
			[]string{`no input "more"`, "it has: text"},
		},
		"wrong kind": {
			rig.GraphSideBySide,
			map[string]*tandemv1.Value{"text": client.Int64s([]int64{1}, []int64{1})},
			connect.CodeInvalidArgument, tandemv1.Reason_REASON_INPUT_INVALID,
			[]string{"expected text", "tensor INT64 [1]"},
		},
		"short tensor": {
			rig.GraphSideBySide,
			map[string]*tandemv1.Value{"text": client.Tensor(tandemv1.DataType_DATA_TYPE_FP32, []int64{2}, []byte{1, 2, 3})},
			connect.CodeInvalidArgument, tandemv1.Reason_REASON_INPUT_INVALID,
			[]string{"2 elements of 4 bytes", "3 bytes"},
		},
		"no such graph": {
			"nope", nil, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND, []string{"graph nope"},
		},
		"no such release": {
			rig.GraphSideBySide + "@99", nil, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND, []string{"side-by-side@99"},
		},
		"no graph": {
			"", nil, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, []string{"graph"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Client.Infer(bounded(t), tc.graph, tc.in)
			wantFailure(t, err, tc.code, tc.reason, tc.words...)
		})
	}
}

func TestBadKeys(t *testing.T) {
	s := examples(t)
	for name, tc := range map[string]struct {
		key    string
		reason tandemv1.Reason
	}{
		"none":     {"", tandemv1.Reason_REASON_UNAUTHENTICATED},
		"no key":   {"hello", tandemv1.Reason_REASON_WRONG_KEY},
		"wrong":    {s.Key[:len(s.Key)-1] + flip(s.Key[len(s.Key)-1]), tandemv1.Reason_REASON_WRONG_KEY},
		"cut off":  {s.Key[:20], tandemv1.Reason_REASON_WRONG_KEY},
		"too long": {strings.Repeat("x", 10000), tandemv1.Reason_REASON_WRONG_KEY},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.New(s.URL, client.WithKey(tc.key))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Infer(bounded(t), rig.GraphSideBySide, map[string]*tandemv1.Value{"text": client.Text("x")})
			wantFailure(t, err, connect.CodeUnauthenticated, tc.reason)
		})
	}
}

func flip(b byte) string {
	if b == 'a' {
		return "b"
	}
	return "a"
}

func TestBadModels(t *testing.T) {
	s := examples(t)
	good, err := os.ReadFile(filepath.Join(root(t), "examples", "models", "sentiment-a.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(root(t), "runners", "onnx", "testdata", "bad")
	files, err := os.ReadDir(bad)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{"cut in half": good[:len(good)/2], "no ONNX": []byte("hello, world")}
	for _, f := range files {
		if filepath.Ext(f.Name()) == ".onnx" && f.Name() != "empty.onnx" { // no upload of 0 bytes can be begun
			if cases[f.Name()], err = os.ReadFile(filepath.Join(bad, f.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(cases) < 4 {
		t.Fatalf("only %d bad models", len(cases))
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := s.Client.PushModel(bounded(t), "bad", bytes.NewReader(data), int64(len(data)))
			wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_MODEL_INVALID)
			_, err = s.Client.Models.GetModel(bounded(t), &tandemv1.GetModelRequest{Name: "bad"})
			wantFailure(t, err, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND)
		})
	}
}

func TestBadPlugins(t *testing.T) {
	s := examples(t)
	header := "\x00asm\x01\x00\x00\x00"
	stock, err := os.ReadFile(filepath.Join(root(t), "bin", "plugins", "text.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data  string
		words string
	}{
		"no Wasm":     {"hello, world", ""},
		"no exports":  {header, "tdm1_run"},
		"cut in half": {string(stock[:len(stock)/2]), ""},
		"traps in its description": {
			header +
				section(1, "\x03\x60\x00\x01\x7e\x60\x02\x7f\x7f\x01\x7f\x60\x01\x7f\x01\x7f") + // types
				section(3, "\x03\x00\x01\x02") + section(5, "\x01\x00\x01") + // functions, memory
				section(7, "\x04"+name("memory")+"\x02\x00"+name("tdm1_describe")+"\x00\x00"+name("tdm1_alloc")+"\x00\x01"+name("tdm1_run")+"\x00\x02") +
				section(10, "\x03\x03\x00\x00\x0b\x04\x00\x41\x00\x0b\x04\x00\x41\x00\x0b"), // describe: unreachable
			"describe",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Client.PushPlugin(bounded(t), "bad", strings.NewReader(tc.data), int64(len(tc.data)))
			wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_PLUGIN_INVALID, tc.words)
			_, err = s.Client.Plugins.GetPlugin(bounded(t), &tandemv1.GetPluginRequest{Name: "bad"})
			wantFailure(t, err, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND)
		})
	}
}

// section and name encode parts of a Wasm module that are shorter than 128 bytes.
func section(id byte, body string) string { return string([]byte{id, byte(len(body))}) + body }

func name(s string) string { return string([]byte{byte(len(s))}) + s }

func TestBadChunks(t *testing.T) {
	s := examples(t)
	ctx := bounded(t)
	data := []byte(strings.Repeat("0123456789", 100))
	sum := sha256.Sum256(data)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	up, err := s.Client.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: "chunky", SizeBytes: int64(len(data)), Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	put := func(off int64, b []byte, crc uint32) error {
		_, err := s.Client.Models.PutModelChunk(ctx, &tandemv1.PutModelChunkRequest{UploadId: up.GetUploadId(), Offset: off, Data: b, Crc32C: crc})
		return err
	}
	if err := put(0, data[:100], castagnoli(data[:100])); err != nil {
		t.Fatal(err)
	}
	d := wantFailure(t, put(500, data[500:], castagnoli(data[500:])), connect.CodeOutOfRange, tandemv1.Reason_REASON_UPLOAD_OFFSET, "100")
	if d.GetCommittedOffset() != 100 {
		t.Errorf("committed offset %d, want 100", d.GetCommittedOffset())
	}
	wantFailure(t, put(100, data[100:], 42), connect.CodeInvalidArgument, tandemv1.Reason_REASON_DIGEST_MISMATCH)
	_, err = s.Client.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: up.GetUploadId()})
	wantFailure(t, err, connect.CodeFailedPrecondition, tandemv1.Reason_REASON_UPLOAD_OFFSET)
	other := bytes.Repeat([]byte("x"), len(data)-100)
	if err := put(100, other, castagnoli(other)); err != nil {
		t.Fatalf("an upload must go on after all that: %v", err)
	}
	_, err = s.Client.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: up.GetUploadId()})
	wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_DIGEST_MISMATCH)
	_, err = s.Client.Plugins.FinishPluginUpload(ctx, &tandemv1.FinishPluginUploadRequest{UploadId: up.GetUploadId()})
	wantFailure(t, err, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND)
}

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// badGraph has one fault of each kind that a caller is promised to see, all at once.
const badGraph = `
graph: bad
inputs:
  text: text
  photo: image
outputs:
  label: {from: judge.label}
  nothing: {from: judge.nothing}
nodes:
  tokens:  {plugin: text, call: tokenise, in: {text: text}}
  unknown: {model: no-such-model, in: {x: tokens.ids}}
  dtype:   {model: ppocr-det, in: {x: tokens.ids}}
  port:    {model: sentiment-a, in: {idz: tokens.ids}}
  dims:    {plugin: ocr, call: orient, in: {lines: cut.lines, angles: cut.turns}}
  cut:     {plugin: ocr, call: cut_lines, in: {image: photo, heat: loop.heat, scale: nowhere.scale}}
  judge:   {plugin: classify, call: top_label, in: {logits: judge.score}, with: {labels: 7}}
`

func TestBadGraphShowsAllFaults(t *testing.T) {
	s := examples(t)
	_, err := s.Client.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: badGraph})
	d := wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_GRAPH_INVALID,
		"no-such-model", "idz", "nothing", "nowhere", "INT64", "labels")
	if len(d.GetFaults()) < 7 {
		t.Errorf("got %d faults, want at least 7", len(d.GetFaults()))
	}
	for _, f := range d.GetFaults() {
		if f.GetLine() == 0 || f.GetCode() == "" || f.GetMessage() == "" {
			t.Errorf("fault without line, code or text: %v", f)
		}
	}
	v, err := s.Client.Graphs.ValidateGraph(bounded(t), &tandemv1.ValidateGraphRequest{Document: badGraph})
	if err != nil || len(v.GetFaults()) != len(d.GetFaults()) {
		t.Errorf("validate gives %d faults and %v, publish %d", len(v.GetFaults()), err, len(d.GetFaults()))
	}
	_, err = s.Client.Graphs.GetGraph(bounded(t), &tandemv1.GetGraphRequest{Name: "bad"})
	wantFailure(t, err, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND)
}

// What nobody takes is a fault of its own, told when every reference leads somewhere.
const loneGraph = `
graph: bad
inputs: {text: text, lonely: text}
outputs: {ids: {from: tokens.ids}}
nodes:
  tokens: {plugin: text, call: tokenise, in: {text: text}}
  idle:   {plugin: text, call: tokenise, in: {text: text}}
`

func TestUnusedPartsAreFaults(t *testing.T) {
	s := examples(t)
	_, err := s.Client.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: loneGraph})
	wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_GRAPH_INVALID, "unused-input", "lonely", "unused-node", "idle")
}

func TestUsedThingsStay(t *testing.T) {
	s := examples(t)
	_, err := s.Client.Models.DeleteModel(bounded(t), &tandemv1.DeleteModelRequest{Name: "sentiment-b"})
	wantFailure(t, err, connect.CodeFailedPrecondition, tandemv1.Reason_REASON_IN_USE, rig.GraphSideBySide)
	_, err = s.Client.Plugins.DeletePlugin(bounded(t), &tandemv1.DeletePluginRequest{Name: "ocr"})
	wantFailure(t, err, connect.CodeFailedPrecondition, tandemv1.Reason_REASON_IN_USE, rig.GraphOCR)
}

func TestDeadlineStopsTheGraph(t *testing.T) {
	s := examples(t)
	data, err := os.ReadFile(filepath.Join(root(t), "examples", "images", "invoice-sans.png"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30e6) // 30 ms: no machine reads an invoice in that time
	defer cancel()
	_, err = s.Client.Infer(ctx, rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(data)})
	if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("got %v, want deadline_exceeded", err)
	}
}
