// Package plugins_test calls the stock plugins through the sandbox and holds them to what the same code says natively.
package plugins_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/plugins/ocr"
	"github.com/tandem-serve/tandem/plugins/text"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

// stock builds and loads each plugin once for all tests.
type stock struct {
	dir  string
	host *sandbox.Host
	mu   sync.Mutex // guards the following
	p    map[string]*sandbox.Plugin
}

var shared = stock{p: map[string]*sandbox.Plugin{}}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if shared.dir, err = os.MkdirTemp("", "plugins"); err != nil {
		return 1
	}
	defer func() { _ = os.RemoveAll(shared.dir) }()
	// A loaded machine may take long over a module.
	shared.host, err = sandbox.New(context.Background(), sandbox.Config{
		UploadTimeout: 2 * time.Minute, DescribeTimeout: time.Minute, CallTimeout: time.Minute, MemoryLimitBytes: 512 << 20,
	})
	if err != nil {
		return 1
	}
	defer func() { _ = shared.host.Close(context.Background()) }()
	return m.Run()
}

// load returns a stock plugin.
func load(t testing.TB, name string) *sandbox.Plugin {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if p := shared.p[name]; p != nil {
		return p
	}
	wasm, err := module(t, name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := shared.host.Load(t.Context(), wasm)
	if err != nil {
		t.Fatalf("load %s: %v", name, err)
	}
	shared.p[name] = p
	return p
}

// module returns the bytes of a stock plugin: committed, or built.
func module(t testing.TB, name string) ([]byte, error) {
	t.Helper()
	if committed, err := os.ReadFile(filepath.Join(name, name+".wasm")); err == nil {
		return committed, nil
	}
	out := filepath.Join(shared.dir, name+".wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./"+name+"/wasm")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, b)
	}
	return os.ReadFile(out)
}

func call(t testing.TB, name string, c sandbox.Call) []value.Value {
	t.Helper()
	r, err := load(t, name).Call(t.Context(), c)
	if err != nil {
		t.Fatalf("%s.%s: %v", name, c.Function, err)
	}
	r.Release()
	return r.Outputs
}

func tensor[T plugin.Element](t plugin.Tensor[T]) value.Value {
	a := plugin.AnyOf(t)
	return value.Tensor(abi.DType(a.DType), a.Shape, a.Data)
}

func list[T plugin.Element](ts []plugin.Tensor[T]) value.Value {
	var items []value.Value
	for _, t := range ts {
		items = append(items, tensor(t))
	}
	return value.List(items)
}

// same compares values; numbers in FP32 tensors may differ by a rounding.
func same(t *testing.T, what string, got, want []value.Value) {
	t.Helper()
	near := cmp.FilterValues(bothFP32, cmp.Comparer(nearly))
	whole := cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))
	if diff := cmp.Diff(want, got, near, cmpopts.EquateEmpty(), whole); diff != "" {
		t.Errorf("%s differs (-native +sandbox):\n%.2000s", what, diff)
	}
}

func bothFP32(a, b value.Value) bool { return a.DType == abi.FP32 && b.DType == abi.FP32 }

func nearly(a, b value.Value) bool {
	if !cmp.Equal(a.Shape, b.Shape, cmpopts.EquateEmpty()) || len(a.Data) != len(b.Data) {
		return false
	}
	x, y := floats(a.Data), floats(b.Data)
	for i := range x {
		if math.Abs(float64(x[i]-y[i])) > 1e-5 {
			return false
		}
	}
	return true
}

func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// example returns the pixels of an example image.
func example(t testing.TB, name string) plugin.Tensor[uint8] {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../examples/images", name))
	if err != nil {
		t.Fatal(err)
	}
	img, err := imaging.Decode(data, imaging.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return plugin.Of(img.Pix, int64(img.H), int64(img.W), 3)
}

// blobs returns a heat map with n lines of text in it.
func blobs(h, w, n int) plugin.Tensor[float32] {
	t := plugin.NewTensor[float32](1, 1, int64(h), int64(w))
	for k := range n {
		for y := range 9 {
			for x := w / 8; x < w-w/8; x++ {
				t.Data[(10+k*20+y)*w+x] = 0.9
			}
		}
	}
	return t
}

func TestOCR(t *testing.T) {
	ctx, img := plugintest.Context(), example(t, "invoice-sans.png")
	prepared, err := ocr.PrepareDetect(ctx, ocr.PrepareDetectIn{Image: img}, plugintest.With[ocr.PrepareDetectWith](t, ""))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "prepare_detect", call(t, "ocr", sandbox.Call{Function: "prepare_detect", Inputs: []value.Value{tensor(img)}}),
		[]value.Value{tensor(prepared.X), tensor(prepared.Scale)})

	heat := blobs(prepared.X.Dim(2), prepared.X.Dim(3), 20)
	cut, err := ocr.CutLines(ctx, ocr.CutLinesIn{Image: img, Heat: heat, Scale: prepared.Scale}, plugintest.With[ocr.CutLinesWith](t, ""))
	if err != nil || len(cut.Lines) != 20 {
		t.Fatalf("got %d lines, %v, want 20", len(cut.Lines), err)
	}
	same(t, "cut_lines", call(t, "ocr", sandbox.Call{
		Function: "cut_lines", Inputs: []value.Value{tensor(img), tensor(heat), tensor(prepared.Scale)},
	}), []value.Value{list(cut.Lines), list(cut.Turns), tensor(cut.Boxes)})

	var angles []plugin.Tensor[float32]
	for i := range cut.Lines {
		angles = append(angles, plugin.Of([]float32{float32(i % 2), float32(1 - i%2)}, 1, 2))
	}
	lines := list(cut.Lines)
	oriented, err := ocr.Orient(ctx, ocr.OrientIn{Lines: cut.Lines, Angles: angles}, plugintest.With[ocr.OrientWith](t, ""))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "orient", call(t, "ocr", sandbox.Call{Function: "orient", Inputs: []value.Value{lines, list(angles)}}),
		[]value.Value{list(oriented.Lines), tensor(oriented.Turned)})

	out := call(t, "ocr", sandbox.Call{Function: "read_lines", Inputs: []value.Value{list(logits(20, 40)), tensor(cut.Boxes)}})
	if got := string(out[0].Data); strings.Count(got, "\n") != 19 || !json.Valid(out[1].Data) {
		t.Errorf("read_lines: got %q %s", got, out[1].Data)
	}
}

// TestOCRFindsNothing: no line is an ordinary answer, all the way.
func TestOCRFindsNothing(t *testing.T) {
	img := plugin.NewTensor[uint8](64, 64, 3)
	out := call(t, "ocr", sandbox.Call{Function: "cut_lines", Inputs: []value.Value{
		tensor(img), tensor(plugin.NewTensor[float32](1, 1, 64, 64)), tensor(plugin.Of([]float32{1, 1}, 2)),
	}})
	if len(out[0].Items) != 0 || len(out[1].Items) != 0 || !cmp.Equal(out[2].Shape, []int64{0, 4, 2}) {
		t.Errorf("got %+v", out)
	}
	turned := call(t, "ocr", sandbox.Call{Function: "orient", Inputs: []value.Value{value.List(nil), value.List(nil)}})
	read := call(t, "ocr", sandbox.Call{Function: "read_lines", Inputs: []value.Value{turned[0], out[2]}})
	if len(read[0].Data) != 0 || string(read[1].Data) != "[]" {
		t.Errorf("got %q %s", read[0].Data, read[1].Data)
	}
}

// TestOCRLargest: the largest image that the server decodes fits.
func TestOCRLargest(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 192 MB")
	}
	img := tensor(plugin.NewTensor[uint8](8000, 8000, 3))
	x := call(t, "ocr", sandbox.Call{Function: "prepare_detect", Inputs: []value.Value{img}})
	if !cmp.Equal(x[0].Shape, []int64{1, 3, 960, 960}) {
		t.Errorf("got %v", x[0].Shape)
	}
	cut := call(t, "ocr", sandbox.Call{Function: "cut_lines", Inputs: []value.Value{img, tensor(blobs(960, 960, 40)), x[1]}})
	if len(cut[0].Items) != 40 {
		t.Errorf("got %d lines, want 40", len(cut[0].Items))
	}
}

// logits says for n lines of some steps that every other step is a character.
func logits(n, steps int) []plugin.Tensor[float32] {
	var out []plugin.Tensor[float32]
	for range n {
		t := plugin.NewTensor[float32](1, int64(steps), 6625)
		for s := range steps {
			t.Data[s*6625+s%2*(1000+s)] = 0.98
		}
		out = append(out, t)
	}
	return out
}

func TestText(t *testing.T) {
	data, err := os.ReadFile("../examples/models/tokenise_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Vectors []struct {
			Text         string
			IDs, Bigrams []int64
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, v := range doc.Vectors {
		n := int64(len(v.IDs))
		same(t, v.Text, call(t, "text", sandbox.Call{Function: "tokenise", Inputs: []value.Value{value.Text(v.Text)}}),
			[]value.Value{tensor(plugin.Of(v.IDs, 1, n)), tensor(plugin.Of(v.Bigrams, 1, n))})
	}
}

func TestClassify(t *testing.T) {
	out := call(t, "classify", sandbox.Call{
		Function: "top_label", With: json.RawMessage(`{"labels":["negative","positive"]}`),
		Inputs: []value.Value{tensor(plugin.Of([]float32{0, 1000}, 1, 2))},
	})
	same(t, "top_label", out, []value.Value{
		value.Text("positive"), tensor(plugin.Scalar[float32](1)),
		value.JSON([]byte(`[{"label":"positive","score":1},{"label":"negative","score":0}]`)),
	})
}

func TestCompare(t *testing.T) {
	var stream string
	var recorded []byte
	out := call(t, "compare", sandbox.Call{
		Function: "compare_labels", With: json.RawMessage(`{"labels":["no","yes"],"softmax":false}`),
		Inputs: []value.Value{tensor(plugin.Of([]float32{0.25, 0.75}, 1, 2)), tensor(plugin.Of([]float32{0.5, 0.5}, 1, 2))},
		Services: sandbox.Services{Record: func(_ context.Context, s string, doc []byte) error {
			stream, recorded = s, doc
			return nil
		}},
	})
	same(t, "compare_labels", out[:2], []value.Value{tensor(plugin.Scalar(false)), tensor(plugin.Scalar[float32](0.25))})
	if stream != "comparisons" || !bytes.Equal(recorded, out[2].Data) || !json.Valid(recorded) {
		t.Errorf("recorded %s in %q, want %s", recorded, stream, out[2].Data)
	}
}

func bench(b *testing.B, name string, c sandbox.Call) {
	b.Helper()
	p := load(b, name)
	b.ReportAllocs()
	for b.Loop() {
		r, err := p.Call(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}

func BenchmarkPrepareDetect(b *testing.B) {
	bench(b, "ocr", sandbox.Call{Function: "prepare_detect", Inputs: []value.Value{tensor(example(b, "invoice-sans.png"))}})
}

func BenchmarkCutLines(b *testing.B) {
	bench(b, "ocr", sandbox.Call{Function: "cut_lines", Inputs: []value.Value{
		tensor(example(b, "invoice-sans.png")), tensor(blobs(960, 768, 20)), tensor(plugin.Of([]float32{1.3, 1.3}, 2)),
	}})
}

func BenchmarkReadLines(b *testing.B) {
	boxes := plugin.NewTensor[float32](20, 4, 2)
	bench(b, "ocr", sandbox.Call{Function: "read_lines", Inputs: []value.Value{list(logits(20, 80)), tensor(boxes)}})
}

func BenchmarkTokenise(b *testing.B) {
	words := strings.Repeat("I would not recommend this product to anyone, really! ", 20)
	bench(b, "text", sandbox.Call{Function: "tokenise", Inputs: []value.Value{value.Text(words)}})
}

func BenchmarkTopLabel(b *testing.B) {
	bench(b, "classify", sandbox.Call{
		Function: "top_label", With: json.RawMessage(`{"labels":["negative","positive"]}`),
		Inputs: []value.Value{tensor(plugin.Of([]float32{0, 1}, 1, 2))},
	})
}

func BenchmarkCompareLabels(b *testing.B) {
	in := tensor(plugin.Of([]float32{0, 1}, 1, 2))
	bench(b, "compare", sandbox.Call{
		Function: "compare_labels", With: json.RawMessage(`{"labels":["negative","positive"]}`), Inputs: []value.Value{in, in},
	})
}

// TestWordpiece runs the tokeniser in the sandbox: with the vocabulary that is in it, and with one that the graph brings.
func TestWordpiece(t *testing.T) {
	vocabulary, err := os.ReadFile("text/wordpiece/bert-uncased.txt")
	if err != nil {
		t.Fatal(err)
	}
	own, err := json.Marshal(map[string]any{"vocabulary": "[PAD]\n" + string(vocabulary), "pad_to": 8})
	if err != nil {
		t.Fatal(err)
	}
	first, pair := "Ünaffable e\u0301\u0323 naïveté\u200b!", "東京 [MASK] Ωmega"
	for name, with := range map[string]string{"default": `{"pad_to": 8}`, "own vocabulary": string(own)} {
		want, err := text.Wordpiece(plugintest.Context(), text.WordpieceIn{Text: first, Pair: &pair},
			plugintest.With[text.WordpieceWith](t, with))
		if err != nil {
			t.Fatal(err)
		}
		got := call(t, "text", sandbox.Call{
			Function: "wordpiece", With: json.RawMessage(with), Inputs: []value.Value{value.Text(first), value.Text(pair)},
		})
		same(t, name, got, []value.Value{tensor(want.IDs), tensor(want.Mask), tensor(want.Types)})
	}
}

func BenchmarkWordpiece(b *testing.B) {
	words := strings.Repeat("I would not recommend this product to anyone, really! ", 20)
	bench(b, "text", sandbox.Call{Function: "wordpiece", Inputs: []value.Value{value.Text(words)}})
}
