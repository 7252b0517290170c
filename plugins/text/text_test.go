package text

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestPlugin(t *testing.T) { plugintest.Check(t, Plugin()) }

// TestVocabularyIsTheModels holds the embedded copy to the file that the models were trained with.
func TestVocabularyIsTheModels(t *testing.T) {
	want, err := os.ReadFile("../../examples/models/vocab.txt")
	if err != nil {
		t.Fatal(err)
	}
	if vocabulary != string(want) {
		t.Error("plugins/text/vocab.txt is not examples/models/vocab.txt: copy it again")
	}
}

func TestTokeniseVectors(t *testing.T) {
	data, err := os.ReadFile("../../examples/models/tokenise_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Vectors []struct {
			Text    string
			Tokens  []string
			IDs     []int64
			Bigrams []int64
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Vectors) < 50 {
		t.Fatalf("got %d vectors", len(doc.Vectors))
	}
	tok := newTokeniser(vocabulary)
	with := plugintest.With[TokeniseWith](t, "")
	for _, v := range doc.Vectors {
		if got := tokens(v.Text, 1024); !slices.Equal(got, v.Tokens) {
			t.Errorf("%.60q: got tokens %q, want %q", v.Text, got, v.Tokens)
		}
		out, err := tok.Tokenise(plugintest.Context(), TokeniseIn{v.Text}, with)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.IDs.Data, v.IDs) || !slices.Equal(out.Bigrams.Data, v.Bigrams) {
			t.Errorf("%.60q: got %v %v, want %v %v", v.Text, out.IDs.Data, out.Bigrams.Data, v.IDs, v.Bigrams)
		}
	}
}

func TestPadding(t *testing.T) {
	tok := newTokeniser("<pad>\n<unk>\ngood\n")
	for _, c := range []struct {
		text string
		with string
		ids  []int64
	}{
		{"good good bad", `{}`, []int64{2, 2, 1}},
		{"good good bad", `{"pad_to": 2}`, []int64{2, 2, 1, 0}},
		{"good good bad", `{"pad_to": 3}`, []int64{2, 2, 1}},
		{"good good bad", `{"max_tokens": 2}`, []int64{2, 2}},
		{"", `{}`, []int64{}},
		{"...", `{"pad_to": 2}`, []int64{0, 0}},
	} {
		out, err := tok.Tokenise(plugintest.Context(), TokeniseIn{c.text}, plugintest.With[TokeniseWith](t, c.with))
		if err != nil || !slices.Equal(out.IDs.Data, c.ids) || !slices.Equal(out.IDs.Shape, out.Bigrams.Shape) {
			t.Errorf("%q %s: got %v, %v, want %v", c.text, c.with, out.IDs, err, c.ids)
		}
	}
}

func FuzzTokenise(f *testing.F) {
	f.Add("Don't stop!? 10/10 é\xff")
	tok := newTokeniser("<pad>\n<unk>\nstop\n")
	f.Fuzz(func(t *testing.T, s string) {
		out, err := tok.Tokenise(plugintest.Context(), TokeniseIn{s}, TokeniseWith{MaxTokens: 8, PadTo: 4})
		if err != nil || out.IDs.Check() != nil || out.Bigrams.Check() != nil || len(out.IDs.Data)%4 != 0 || len(out.IDs.Data) > 8 {
			t.Errorf("%q: got %v, %v", s, out, err)
		}
		for _, b := range out.Bigrams.Data {
			if b < 0 || b >= bigramBuckets {
				t.Errorf("%q: bigram %d", s, b)
			}
		}
		for _, w := range tokens(s, 1<<20) {
			if !strings.Contains(strings.ToLower(s), w) && strings.ToLower(s) == s {
				t.Errorf("%q: no %q in it", s, w)
			}
		}
	})
}

func BenchmarkTokenise(b *testing.B) {
	tok := newTokeniser(vocabulary)
	text := strings.Repeat("I would not recommend this product to anyone, really! ", 20)
	ctx, with := plugintest.Context(), TokeniseWith{MaxTokens: 1024, PadTo: 1}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := tok.Tokenise(ctx, TokeniseIn{text}, with); err != nil {
			b.Fatal(err)
		}
	}
}
