package ocr

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

// steps writes what a recogniser of a list "a", "b", "c" would say: a letter or '_' for the blank at each step, with
// probability p.
func steps(text string, p float32) plugin.Tensor[float32] {
	const classes = "_abc "
	t := plugin.NewTensor[float32](1, int64(len(text)), int64(len(classes)))
	for i, c := range text {
		for k := range len(classes) {
			t.Data[i*len(classes)+k] = (1 - p) / float32(len(classes)-1)
		}
		t.Data[i*len(classes)+strings.IndexRune(classes, c)] = p
	}
	return t
}

func TestDecode(t *testing.T) {
	r := newReader("a\nb\nc")
	for _, c := range []struct {
		in   string
		p    float32
		want string
	}{
		{"", 1, ""},
		{"____", 1, ""},
		{"abc", 1, "abc"},
		{"aab_bb_cc", 0.9, "abbc"},
		{"a_a a", 0.8, "aa a"},
		{"_c__c_", 0.3, "cc"}, // nothing above a half
	} {
		got := r.decode(steps(c.in, c.p).Data)
		if got.text != c.want || c.want != "" && math.Abs(float64(got.confidence-c.p)) > 1e-6 {
			t.Errorf("%q: got %q %v, want %q %v", c.in, got.text, got.confidence, c.want, c.p)
		}
	}
}

func TestLikeliest(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		p    []float32
		want int
	}{
		{[]float32{0.2, 0.3, 0.3, 0.2}, 1},
		{[]float32{0.1, 0.1, 0.6, 0.2}, 2},
		{[]float32{nan, 0.1, 0.4}, 2},
		{[]float32{nan, nan}, 0},
	} {
		if got := likeliest(c.p); got != c.want {
			t.Errorf("%v: got %d, want %d", c.p, got, c.want)
		}
	}
}

func boxesOf(quads ...quad) plugin.Tensor[float32] {
	t := plugin.NewTensor[float32](int64(len(quads)), 4, 2)
	for i, q := range quads {
		for k, p := range q {
			t.Data[8*i+2*k], t.Data[8*i+2*k+1] = float32(p.x), float32(p.y)
		}
	}
	return t
}

func TestReadLines(t *testing.T) {
	r := newReader("a\nb\nc")
	in := ReadLinesIn{
		Logits: []plugin.Tensor[float32]{steps("aa", 0.9), steps("b", 0.9), steps("ccc", 0.4), steps("c_c", 0.75), steps("__", 1)},
		Boxes:  boxesOf(box(0, 0, 50, 10), box(60, 1, 50, 10), box(0, 20, 50, 10), box(0, 40, 50, 10), box(0, 60, 50, 10)),
	}
	out, err := r.ReadLines(plugintest.Context(), in, plugintest.With[ReadLinesWith](t, ""))
	if err != nil {
		t.Fatal(err)
	}
	if want := "a b\ncc"; out.Text != want {
		t.Errorf("got %q, want %q", out.Text, want)
	}
	type oneLine struct {
		Text       string
		Confidence float32
		Box        [][]float64
	}
	var got []oneLine
	if err := json.Unmarshal(out.Lines, &got); err != nil {
		t.Fatal(err)
	}
	want := []oneLine{
		{"a", 0.9, [][]float64{{0, 0}, {50, 0}, {50, 10}, {0, 10}}},
		{"b", 0.9, [][]float64{{60, 1}, {110, 1}, {110, 11}, {60, 11}}},
		{"cc", 0.75, [][]float64{{0, 40}, {50, 40}, {50, 50}, {0, 50}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	turned := plugin.Of([]bool{true, true, true, true, false}, 5)
	in.Turned = &turned
	for with, text := range map[string]string{
		`{"min_confidence":0.3}`:                    "a b\nc\ncc",
		`{"min_confidence":0.3,"follow_page":true}`: "cc\nc\nb a",
	} {
		out, err = r.ReadLines(plugintest.Context(), in, plugintest.With[ReadLinesWith](t, with))
		if err != nil || out.Text != text || strings.Count(string(out.Lines), `"turned":true`) != 4 {
			t.Errorf("%s: got %q %s, %v, want %q", with, out.Text, out.Lines, err, text)
		}
	}
}

func TestReadNothing(t *testing.T) {
	out, err := ReadLines(plugintest.Context(), ReadLinesIn{Boxes: boxesOf()}, plugintest.With[ReadLinesWith](t, ""))
	if err != nil || out.Text != "" || string(out.Lines) != "[]" {
		t.Errorf("got %q %s, %v", out.Text, out.Lines, err)
	}
}

func TestReadLinesRefuses(t *testing.T) {
	with := plugintest.With[ReadLinesWith](t, "")
	one := boxesOf(box(0, 0, 5, 5))
	for name, in := range map[string]ReadLinesIn{
		"classes": {Logits: []plugin.Tensor[float32]{steps("a", 1)}, Boxes: one},
		"boxes":   {Logits: []plugin.Tensor[float32]{steps("a", 1)}, Boxes: boxesOf()},
		"turned":  {Logits: []plugin.Tensor[float32]{plugin.NewTensor[float32](1, 1, 6625)}, Boxes: one, Turned: &plugin.Tensor[bool]{}},
		"rank":    {Logits: []plugin.Tensor[float32]{plugin.NewTensor[float32](6625)}, Boxes: one},
	} {
		if _, err := ReadLines(plugintest.Context(), in, with); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestOrient(t *testing.T) {
	line := func() plugin.Tensor[float32] {
		t := plugin.NewTensor[float32](1, 3, 48, 2)
		for i := range t.Data {
			t.Data[i] = float32(i)
		}
		return t
	}
	for _, c := range []struct {
		p    []float32 // of 180 degrees
		want []bool
	}{
		{nil, []bool{}},
		{[]float32{0.05, 0.95, 0.85}, []bool{false, true, false}},
		{[]float32{0.01, 0.95, 0.8}, []bool{false, true, false}},
		{[]float32{0.95, 0.95, 0.2, 0.01}, []bool{true, true, true, false}},
		{[]float32{0.01, 0.01, 0.8}, []bool{false, false, false}},
		{[]float32{0.6}, []bool{false}},
	} {
		var in OrientIn
		for _, p := range c.p {
			in.Lines = append(in.Lines, line())
			in.Angles = append(in.Angles, plugin.Of([]float32{1 - p, p}, 1, 2))
		}
		out, err := Orient(plugintest.Context(), in, plugintest.With[OrientWith](t, ""))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, out.Turned.Data); diff != "" {
			t.Errorf("%v: turned differs (-want +got):\n%s", c.p, diff)
		}
		for i, turned := range out.Turned.Data {
			if got := out.Lines[i].Data; turned && (got[0] != 95 || got[95] != 0 || got[96] != 191 || got[287] != 192) {
				t.Errorf("%v: line %d: got %v, want each plane backwards", c.p, i, got[:4])
			} else if diff := cmp.Diff(line(), out.Lines[i]); !turned && diff != "" {
				t.Errorf("%v: an upright line changed (-want +got):\n%s", c.p, diff)
			}
		}
	}
	if _, err := Orient(plugintest.Context(), OrientIn{Lines: []plugin.Tensor[float32]{line()}}, OrientWith{}); err == nil {
		t.Error("lines without angles: got no error")
	}
}

func BenchmarkDecode(b *testing.B) {
	r := newReader(keys)
	t := plugin.NewTensor[float32](1, 80, 6625)
	for i := range 80 {
		if i%2 == 0 {
			t.Data[i*6625] = 0.99
		} else {
			t.Data[i*6625+3000+i] = 0.4
		}
	}
	b.SetBytes(int64(len(t.Data) * 4))
	for b.Loop() {
		r.decode(t.Data)
	}
}
