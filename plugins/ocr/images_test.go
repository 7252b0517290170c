package ocr_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/plugins/ocr"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

const (
	images = "../../examples/images"
	models = "../../.cache/ocr-models/1.4.2"
)

// engines are PP-OCR's models, loaded.
type engines struct{ detect, turn, recognise *onnx.Model }

// newEngines loads the models, or skips the test where `make setup` has not run.
func newEngines(t *testing.T) engines {
	t.Helper()
	lib, err := ortlib.Find(os.Getenv, ".")
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(models); err != nil {
		t.Skipf("no OCR models, run make setup: %v", err)
	}
	rt, err := onnx.Open(t.Context(), onnx.Config{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	load := func(name string) *onnx.Model {
		m, err := rt.LoadFile(t.Context(), filepath.Join(models, name), onnx.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
	return engines{
		detect:    load("ch_PP-OCRv4_det_infer.onnx"),
		turn:      load("ch_ppocr_mobile_v2.0_cls_infer.onnx"),
		recognise: load("ch_PP-OCRv4_rec_infer.onnx"),
	}
}

// run gives x to a model of one input and one output.
func run(t *testing.T, m *onnx.Model, x plugin.Tensor[float32]) plugin.Tensor[float32] {
	t.Helper()
	in := []runners.Tensor{{DType: runners.FP32, Shape: x.Shape, Data: plugin.AnyOf(x).Data}}
	out := make([]runners.Tensor, 1)
	if err := m.Run(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	defer out[0].Release()
	data := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(out[0].Data))), len(out[0].Data)/4)
	return plugin.Of(append([]float32(nil), data...), out[0].Shape...)
}

func runAll(t *testing.T, m *onnx.Model, list []plugin.Tensor[float32]) []plugin.Tensor[float32] {
	t.Helper()
	out := make([]plugin.Tensor[float32], len(list))
	for i, x := range list {
		out[i] = run(t, m, x)
	}
	return out
}

func decode(t *testing.T, name string) plugin.Tensor[uint8] {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(images, name))
	if err != nil {
		t.Fatal(err)
	}
	img, err := imaging.Decode(data, imaging.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return plugin.Of(img.Pix, int64(img.H), int64(img.W), 3)
}

// read runs the functions natively, joined by the models as the example graph joins them.
func read(t *testing.T, e engines, img plugin.Tensor[uint8]) (text string, lines plugin.JSON) {
	t.Helper()
	ctx := plugintest.Context()
	p, err := ocr.PrepareDetect(ctx, ocr.PrepareDetectIn{Image: img}, plugintest.With[ocr.PrepareDetectWith](t, ""))
	if err != nil {
		t.Fatal(err)
	}
	heat := run(t, e.detect, p.X)
	c, err := ocr.CutLines(ctx, ocr.CutLinesIn{Image: img, Heat: heat, Scale: p.Scale}, plugintest.With[ocr.CutLinesWith](t, ""))
	if err != nil {
		t.Fatal(err)
	}
	o, err := ocr.Orient(ctx, ocr.OrientIn{Lines: c.Lines, Angles: runAll(t, e.turn, c.Turns)}, plugintest.With[ocr.OrientWith](t, ""))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ocr.ReadLines(ctx, ocr.ReadLinesIn{Logits: runAll(t, e.recognise, o.Lines), Boxes: c.Boxes, Turned: &o.Turned}, plugintest.With[ocr.ReadLinesWith](t, ""))
	if err != nil {
		t.Fatal(err)
	}
	return r.Text, r.Lines
}

// readByModule is read with the plugin in the sandbox.
func readByModule(t *testing.T, m module, e engines, img plugin.Tensor[uint8]) (text string, lines plugin.JSON) {
	t.Helper()
	pixels := tensorOf(img)
	p := m.must(t, "prepare_detect", "", pixels)
	heat := run(t, e.detect, floatsOf(p[0]))
	c := m.must(t, "cut_lines", "", pixels, tensorOf(heat), p[1])
	angles := runAll(t, e.turn, floatLists(c[1]))
	o := m.must(t, "orient", "", c[0], listOf(angles))
	r := m.must(t, "read_lines", "", listOf(runAll(t, e.recognise, floatLists(o[0]))), c[2], o[1])
	return string(r[0].Data), r[1].Data
}

// sameLines compares what was read; confidences may differ by what a rounding of a pixel does to the recogniser.
func sameLines(t *testing.T, name string, want, got plugin.JSON) {
	t.Helper()
	type line struct {
		Text       string
		Confidence float64
		Turned     bool
		Box        [][2]float32
	}
	var lines [2][]line
	for i, doc := range []plugin.JSON{want, got} {
		if err := json.Unmarshal(doc, &lines[i]); err != nil {
			t.Fatalf("%s: %v in %s", name, err, doc)
		}
	}
	if diff := cmp.Diff(lines[0], lines[1], cmpopts.EquateApprox(0, 1e-3)); diff != "" {
		t.Errorf("%s: lines differ (-package +module):\n%s", name, diff)
	}
}

// expectedLines returns what is written on each example image.
func expectedLines(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(images, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Images map[string]struct{ Lines []string }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for name, i := range doc.Images {
		out[name] = i.Lines
	}
	if len(out) < 10 {
		t.Fatalf("got %d images, want at least 10", len(out))
	}
	return out
}

// normalise takes case and white space away, as the reference does.
func normalise(s string) []rune { return []rune(strings.ToLower(strings.Join(strings.Fields(s), ""))) }

// distance returns the number of characters to insert, delete or change to make b of a.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, d := range b {
			change := diagonal
			if c != d {
				change++
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, change)
		}
	}
	return row[len(b)]
}

// TestReadsTheExampleImages holds the reading to a character error rate of 3 %, and the module to the package.
func TestReadsTheExampleImages(t *testing.T) {
	if testing.Short() {
		t.Skip("reads twenty images")
	}
	e, m := newEngines(t), newModule(t)
	wrong, total := 0, 0
	for name, want := range expectedLines(t) {
		img := decode(t, name)
		text, lines := read(t, e, img)
		again, againLines := readByModule(t, m, e, img)
		if again != text {
			t.Errorf("%s: the module reads\n%s\nthe package\n%s", name, again, text)
		}
		sameLines(t, name, lines, againLines)
		got, wanted := normalise(text), normalise(strings.Join(want, ""))
		d := distance(got, wanted)
		wrong, total = wrong+d, total+len(wanted)
		t.Logf("%-26s %d of %d characters wrong", name, d, len(wanted))
		if d > 0 {
			t.Logf("got  %s\nwant %s", text, strings.Join(want, "\n"))
		}
		if !json.Valid(lines) {
			t.Errorf("%s: lines are not JSON: %s", name, lines)
		}
	}
	rate := float64(wrong) / float64(total)
	t.Logf("character error rate %.2f %%", 100*rate)
	if rate > 0.03 {
		t.Errorf("got a character error rate of %.2f %%, want at most 3 %%", 100*rate)
	}
}
