package text

import (
	"slices"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestWordpiece(t *testing.T) {
	const own = `"vocabulary": "[PAD0]\n[UNK]\n[CLS]\n[SEP]\nHi\nhi\n[PAD]"`
	pair := "hi"
	for _, c := range []struct {
		in               WordpieceIn
		with             string
		ids, mask, types []int64
	}{
		{WordpieceIn{Text: "Hello, wörld!"}, ``, []int64{101, 7592, 1010, 2088, 999, 102}, []int64{1, 1, 1, 1, 1, 1}, []int64{0, 0, 0, 0, 0, 0}},
		{WordpieceIn{Text: "hello"}, `{"pad_to": 4}`, []int64{101, 7592, 102, 0}, []int64{1, 1, 1, 0}, []int64{0, 0, 0, 0}},
		{WordpieceIn{Text: "hello hello"}, `{"max_length": 3}`, []int64{101, 7592, 102}, []int64{1, 1, 1}, []int64{0, 0, 0}},
		{WordpieceIn{Text: ""}, ``, []int64{101, 102}, []int64{1, 1}, []int64{0, 0}},
		{
			WordpieceIn{Text: "Hi", Pair: &pair},
			`{"pad_to": 6, "lowercase": false, ` + own + `}`,
			[]int64{2, 4, 3, 5, 3, 6},
			[]int64{1, 1, 1, 1, 1, 0},
			[]int64{0, 0, 0, 1, 1, 0},
		},
		{WordpieceIn{Text: "HI hí"}, `{` + own + `}`, []int64{2, 5, 5, 3}, []int64{1, 1, 1, 1}, []int64{0, 0, 0, 0}},
		{WordpieceIn{Text: "hí"}, `{"strip_accents": "no", ` + own + `}`, []int64{2, 1, 3}, []int64{1, 1, 1}, []int64{0, 0, 0}},
		{WordpieceIn{Text: "[SEP]"}, `{"specials": false, ` + own + `}`, []int64{2, 1, 1, 1, 3}, []int64{1, 1, 1, 1, 1}, []int64{0, 0, 0, 0, 0}},
	} {
		out, err := Wordpiece(plugintest.Context(), c.in, plugintest.With[WordpieceWith](t, c.with))
		if err != nil || !slices.Equal(out.IDs.Data, c.ids) || !slices.Equal(out.Mask.Data, c.mask) || !slices.Equal(out.Types.Data, c.types) {
			t.Errorf("%q %.40s: got %v, %v, want %v %v %v", c.in.Text, c.with, out, err, c.ids, c.mask, c.types)
		}
	}
}

func TestWordpieceRefusesVocabulary(t *testing.T) {
	_, err := plugin.DecodeWith[WordpieceWith]([]byte(`{"vocabulary": "hello\n"}`))
	if err == nil || !strings.Contains(err.Error(), "no [UNK]") {
		t.Errorf("got %v", err)
	}
}

func TestMeanPool(t *testing.T) {
	in := PoolIn{
		Hidden: plugin.Of([]float32{3, 4, 9, 12, 100, 100, 5, 5, 6, 6, 7, 7}, 2, 3, 2),
		Mask:   plugin.Of([]int64{1, 1, 0, 0, 0, 0}, 2, 3),
	}
	for with, want := range map[string][]float32{`{"normalise": false}`: {6, 8, 0, 0}, ``: {0.6, 0.8, 0, 0}} {
		out, err := MeanPool(plugintest.Context(), in, plugintest.With[PoolWith](t, with))
		if err != nil || !slices.Equal(out.Embedding.Data, want) || !slices.Equal(out.Embedding.Shape, []int64{2, 2}) {
			t.Errorf("%s: got %v, %v, want %v", with, out, err, want)
		}
	}
}

func TestCosine(t *testing.T) {
	out, err := Cosine(plugintest.Context(), CosineIn{
		A: plugin.Of([]float32{1, 0, 1, 1, 2, 0, 0, 0}, 4, 2), B: plugin.Of([]float32{0, 3, 2, 2, -1, 0, 1, 1}, 4, 2),
	}, plugin.None{})
	if want := []float32{0, 1, -1, 0}; err != nil || !slices.Equal(out.Similarity.Data, want) {
		t.Errorf("got %v, %v, want %v", out, err, want)
	}
	if _, err := Cosine(plugintest.Context(), CosineIn{plugin.NewTensor[float32](1, 0), plugin.NewTensor[float32](1, 0)}, plugin.None{}); err == nil {
		t.Error("vectors without elements were compared")
	}
}
