package ocr_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/plugins/ocr"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

// module is the plugin in the sandbox.
type module struct{ p *sandbox.Plugin }

func newModule(t *testing.T) module {
	t.Helper()
	wasm, err := os.ReadFile("ocr.wasm")
	if err != nil {
		t.Fatal(err)
	}
	h, err := sandbox.New(t.Context(), sandbox.Config{UploadTimeout: 2 * time.Minute, DescribeTimeout: time.Minute, CallTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.WithoutCancel(t.Context())) })
	p, err := h.Load(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return module{p}
}

func (m module) call(t *testing.T, function, with string, in ...value.Value) ([]value.Value, error) {
	t.Helper()
	r, err := m.p.Call(t.Context(), sandbox.Call{Function: function, With: json.RawMessage(with), Inputs: in})
	if err != nil {
		return nil, err
	}
	r.Release()
	return r.Outputs, nil
}

// must is a call that does not fail.
func (m module) must(t *testing.T, function, with string, in ...value.Value) []value.Value {
	t.Helper()
	out, err := m.call(t, function, with, in...)
	if err != nil {
		t.Fatalf("%s: %v", function, err)
	}
	return out
}

func tensorOf[T plugin.Element](t plugin.Tensor[T]) value.Value {
	a := plugin.AnyOf(t)
	return value.Tensor(abi.DType(a.DType), a.Shape, a.Data)
}

func listOf[T plugin.Element](ts []plugin.Tensor[T]) value.Value {
	items := make([]value.Value, len(ts))
	for i, t := range ts {
		items[i] = tensorOf(t)
	}
	return value.List(items)
}

func floatsOf(v value.Value) plugin.Tensor[float32] {
	return plugin.Of(unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(v.Data))), len(v.Data)/4), v.Shape...)
}

func floatLists(v value.Value) []plugin.Tensor[float32] {
	out := make([]plugin.Tensor[float32], len(v.Items))
	for i, item := range v.Items {
		out[i] = floatsOf(item)
	}
	return out
}

// near compares tensors: numbers may differ by a rounding of floats.
func near() cmp.Option {
	return cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b float32) bool {
		return a == b || math.Abs(float64(a-b)) <= 1e-5*max(1, math.Abs(float64(a)))
	})}
}

// TestModuleDescription: the module is described as the package is, but for the order of keys.
func TestModuleDescription(t *testing.T) {
	var want abi.Description
	if err := json.Unmarshal(plugin.Describe(ocr.Plugin()), &want); err != nil {
		t.Fatal(err)
	}
	documents := cmp.Transformer("json", func(doc json.RawMessage) (v any) {
		_ = json.Unmarshal(doc, &v) // the sandbox has read it before
		return v
	})
	if diff := cmp.Diff(want, newModule(t).p.Description(), documents, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the description differs (-package +module):\n%s", diff)
	}
}

// scene is an image and a heat map of turned rectangles that may touch, with noise around the threshold.
func scene(rt *rapid.T) (img plugin.Tensor[uint8], heat plugin.Tensor[float32]) {
	w, h := rapid.IntRange(1, 150).Draw(rt, "w"), rapid.IntRange(1, 110).Draw(rt, "h")
	img, heat = plugin.NewTensor[uint8](int64(2*h), int64(2*w), 3), plugin.NewTensor[float32](1, 1, int64(h), int64(w))
	seed := rapid.Uint32().Draw(rt, "seed")
	random := func() uint32 {
		seed = seed*1664525 + 1013904223
		return seed >> 16
	}
	for i := range img.Data {
		img.Data[i] = uint8(random())
	}
	for i := range heat.Data {
		heat.Data[i] = float32(random()%300) / 1000
	}
	for range rapid.IntRange(0, 6).Draw(rt, "boxes") {
		x, y := rapid.Float64Range(0, float64(w)).Draw(rt, "x"), rapid.Float64Range(0, float64(h)).Draw(rt, "y")
		length, width := rapid.Float64Range(1, 80).Draw(rt, "length"), rapid.Float64Range(1, 25).Draw(rt, "width")
		sin, cos := math.Sincos(rapid.SampledFrom([]float64{0, 0, 0.1, math.Pi / 2, 0.8, -0.3, 3}).Draw(rt, "angle"))
		for py := range h {
			for px := range w {
				dx, dy := float64(px)-x, float64(py)-y
				if math.Abs(dx*cos+dy*sin) <= length/2 && math.Abs(dy*cos-dx*sin) <= width/2 {
					heat.Data[py*w+px] = 0.6 + float32(random()%400)/1000
				}
			}
		}
	}
	return img, heat
}

// TestModuleCutsAlike: whatever the page, the module prepares and cuts what the package does.
func TestModuleCutsAlike(t *testing.T) {
	m, ctx := newModule(t), plugintest.Context()
	rapid.Check(t, func(rt *rapid.T) {
		img, heat := scene(rt)
		prepared, err := ocr.PrepareDetect(ctx, ocr.PrepareDetectIn{Image: img}, plugintest.With[ocr.PrepareDetectWith](t, ""))
		if err != nil {
			rt.Fatal(err)
		}
		got := m.must(t, "prepare_detect", "", tensorOf(img))
		if diff := cmp.Diff(prepared, ocr.PrepareDetectOut{X: floatsOf(got[0]), Scale: floatsOf(got[1])}, near()); diff != "" {
			rt.Fatalf("prepare_detect differs (-package +module):\n%.2000s", diff)
		}
		scale := plugin.Of([]float32{2, 2}, 2)
		with := rapid.SampledFrom([]string{"", `{"unclip":0.4,"box_score":0.5}`, `{"max_lines":2,"threshold":0.29}`}).Draw(rt, "with")
		want, err := ocr.CutLines(ctx, ocr.CutLinesIn{Image: img, Heat: heat, Scale: scale}, plugintest.With[ocr.CutLinesWith](t, with))
		if err != nil {
			rt.Fatal(err)
		}
		got = m.must(t, "cut_lines", with, tensorOf(img), tensorOf(heat), tensorOf(scale))
		cut := ocr.CutLinesOut{Lines: floatLists(got[0]), Turns: floatLists(got[1]), Boxes: floatsOf(got[2])}
		if diff := cmp.Diff(want, cut, near()); diff != "" {
			rt.Fatalf("cut_lines differs (-package +module):\n%.2000s", diff)
		}
	})
}

// TestModuleReadsAlike: whatever the recogniser saw, numbers that are none included, the module reads what the package does.
func TestModuleReadsAlike(t *testing.T) {
	m, ctx := newModule(t), plugintest.Context()
	const classes = 6625
	nan := float32(math.NaN())
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 4).Draw(rt, "lines")
		in := ocr.ReadLinesIn{Boxes: plugin.NewTensor[float32](int64(n), 4, 2)}
		for i := range in.Boxes.Data {
			in.Boxes.Data[i] = float32(rapid.IntRange(-5, 400).Draw(rt, "corner")) / 4
		}
		for range n {
			steps := rapid.IntRange(0, 6).Draw(rt, "steps")
			l := plugin.NewTensor[float32](1, int64(steps), classes)
			for s := range steps {
				for range rapid.IntRange(0, 4).Draw(rt, "peaks") {
					at := rapid.OneOf(rapid.SampledFrom([]int{0, 15, 16, 6608, 6623, 6624}), rapid.IntRange(0, classes-1)).Draw(rt, "class")
					l.Data[s*classes+at] = rapid.OneOf(rapid.SampledFrom([]float32{0.25, 0.251953125, 0.5, 0.51, 0.9, nan, -2}), rapid.Float32Range(0, 1)).Draw(rt, "p")
				}
			}
			in.Logits = append(in.Logits, l)
		}
		inputs := []value.Value{listOf(in.Logits), tensorOf(in.Boxes), {}}
		if rapid.Bool().Draw(rt, "turned given") {
			turned := plugin.NewTensor[bool](int64(n))
			for i := range turned.Data {
				turned.Data[i] = rapid.Bool().Draw(rt, "turned")
			}
			in.Turned, inputs[2] = &turned, tensorOf(turned)
		}
		with := rapid.SampledFrom([]string{"", `{"min_confidence":0.1,"follow_page":true}`, `{"min_confidence":0.1}`}).Draw(rt, "with")
		want, err := ocr.ReadLines(ctx, in, plugintest.With[ocr.ReadLinesWith](t, with))
		if err != nil {
			rt.Fatal(err)
		}
		got := m.must(t, "read_lines", with, inputs...)
		if string(got[0].Data) != want.Text || string(got[1].Data) != string(want.Lines) {
			rt.Errorf("got %q\n%s\nwant %q\n%s", got[0].Data, got[1].Data, want.Text, want.Lines)
		}
	})
}

// TestModuleOrientsAlike: lines are turned as the package turns them.
func TestModuleOrientsAlike(t *testing.T) {
	m := newModule(t)
	for _, angles := range [][]float32{nil, {0.1, 0.99}, {0.99, 0.01, 0.02, 0.98, 0.5, 0.5}, {0.05, 0.95, 0.5, 0.5}} {
		var in ocr.OrientIn
		for i := range len(angles) / 2 {
			line := plugin.NewTensor[float32](1, 3, 48, int64(5+i))
			for k := range line.Data {
				line.Data[k] = float32(k)
			}
			in.Lines = append(in.Lines, line)
			in.Angles = append(in.Angles, plugin.Of(angles[2*i:2*i+2], 1, 2))
		}
		got := m.must(t, "orient", "", listOf(in.Lines), listOf(in.Angles))
		want, err := ocr.Orient(plugintest.Context(), in, plugintest.With[ocr.OrientWith](t, ""))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Lines, floatLists(got[0]), near()); diff != "" {
			t.Errorf("%v: lines differ (-package +module):\n%.1000s", angles, diff)
		}
		if diff := cmp.Diff(tensorOf(want.Turned).Data, got[1].Data, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v: turned differs: %s", angles, diff)
		}
	}
}

// TestModuleRefuses: what the package refuses, the module does.
func TestModuleRefuses(t *testing.T) {
	m := newModule(t)
	none, empty := plugin.NewTensor[uint8](0, 4, 3), plugin.NewTensor[float32](0, 4, 2)
	one := value.List([]value.Value{tensorOf(plugin.NewTensor[float32](1, 2, 100))})
	line := listOf([]plugin.Tensor[float32]{plugin.NewTensor[float32](1, 3, 48, 4)})
	wide := plugin.NewTensor[uint8](40, 8000, 3)
	stripes := plugin.NewTensor[float32](1, 1, 2000, 400)
	for y := range 2000 {
		for x := 5; x < 395 && y%9 < 5; x++ {
			stripes.Data[400*y+x] = 0.95
		}
	}
	scale := plugin.Of([]float32{20, 0.02}, 2)
	for name, c := range map[string]struct {
		function, want string
		in             []value.Value
	}{
		"no pixels":          {"prepare_detect", "with pixels in it", []value.Value{tensorOf(none)}},
		"nothing to cut":     {"cut_lines", "with pixels in it", []value.Value{tensorOf(none), tensorOf(stripes), tensorOf(scale)}},
		"lines and angles":   {"orient", "not as many angles", []value.Value{line, value.List(nil)}},
		"lines and boxes":    {"read_lines", "not as many boxes", []value.Value{one, tensorOf(empty), {}}},
		"other characters":   {"read_lines", "line 0 is not [1,steps,6625]", []value.Value{one, tensorOf(plugin.NewTensor[float32](1, 4, 2)), {}}},
		"scale is no number": {"cut_lines", "", []value.Value{tensorOf(wide), tensorOf(stripes), tensorOf(plugin.Of([]float32{float32(math.NaN()), 1e30}, 2))}},
	} {
		_, err := m.call(t, c.function, "", c.in...)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: got %v, want an answer", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
