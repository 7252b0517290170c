package wordpiece_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tandem-serve/tandem/plugins/text/wordpiece"
)

func uncased() wordpiece.Options {
	return wordpiece.Options{Lowercase: true, StripAccents: true, SplitChinese: true, Specials: true}
}

func bert(t testing.TB) *wordpiece.Vocabulary {
	t.Helper()
	v, err := wordpiece.BERT()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBERT(t *testing.T) {
	v := bert(t)
	if v.Len() != 30522 {
		t.Errorf("got %d tokens, want 30522", v.Len())
	}
	for token, want := range map[string]int64{"[PAD]": 0, "[UNK]": 100, "hello": 7592, "##ing": 2075, "##～": 30521} {
		if id, ok := v.ID(token); !ok || id != want {
			t.Errorf("%s: got %d, %v, want %d", token, id, ok, want)
		}
	}
	if id, ok := v.ID("hello "); ok {
		t.Errorf("got %d for a token that there is not", id)
	}
}

// TestEncode spells out by hand what the reference test only has as hashes.
func TestEncode(t *testing.T) {
	v, err := wordpiece.NewVocabulary("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nun\r\n##aff\r\n##able\r\na\r\n中\r\n!\r\n\r\nÉ\r\ne")
	if err != nil {
		t.Fatal(err)
	}
	a := "a"
	for _, c := range []struct {
		name    string
		text    string
		pair    *string
		limit   int
		options wordpiece.Options
		want    []int64
		first   int
	}{
		{"pieces", "unaffable", nil, 9, uncased(), []int64{2, 4, 5, 6, 3}, 5},
		{"no pieces", "unaffablex a", nil, 9, uncased(), []int64{2, 1, 7, 3}, 4},
		{"signs and Chinese", "a!a中中", nil, 9, uncased(), []int64{2, 7, 9, 7, 8, 8, 3}, 7},
		{"Chinese unsplit", "中中", nil, 9, wordpiece.Options{}, []int64{2, 1, 3}, 3},
		{"accents", "É e\u0301", nil, 9, uncased(), []int64{2, 12, 12, 3}, 4},
		{"accents kept", "É", nil, 9, wordpiece.Options{}, []int64{2, 11, 3}, 3},
		{"cut", "a a a a", nil, 4, uncased(), []int64{2, 7, 7, 3}, 4},
		{"cut within a word", "unaffable", nil, 4, uncased(), []int64{2, 4, 5, 3}, 4},
		{"no room", "a", nil, 1, uncased(), []int64{2, 3}, 2},
		{"nothing", " \t\x00", nil, 9, uncased(), []int64{2, 3}, 2},
		{"not text", "a\xffa", nil, 9, uncased(), []int64{2, 1, 3}, 3},
		{"specials", "a[SEP]a", nil, 9, uncased(), []int64{2, 7, 3, 7, 3}, 5},
		{"specials as text", "a[SEP]a", nil, 9, wordpiece.Options{}, []int64{2, 7, 1, 1, 1, 7, 3}, 7},
		{"pair", "un", &a, 9, uncased(), []int64{2, 4, 3, 7, 3}, 3},
		{"pair, the longer is cut", "a a a a a", &a, 6, uncased(), []int64{2, 7, 7, 3, 7, 3}, 4},
		{"pair without room", "a", &a, 0, uncased(), []int64{2, 3, 3}, 2},
		{"100 characters", strings.Repeat("é", 99) + "!", nil, 9, uncased(), []int64{2, 1, 9, 3}, 4},
	} {
		ids, first := wordpiece.New(v, c.options).Encode(c.text, c.pair, c.limit)
		if !slices.Equal(ids, c.want) || first != c.first {
			t.Errorf("%s: got %v, %d, want %v, %d", c.name, ids, first, c.want, c.first)
		}
	}
}

func TestLongWordIsUnknown(t *testing.T) {
	v, err := wordpiece.NewVocabulary("[UNK]\n[CLS]\n[SEP]\né\n##é\n")
	if err != nil {
		t.Fatal(err)
	}
	tok := wordpiece.New(v, wordpiece.Options{})
	for n, want := range map[int]int{100: 100, 101: 1} {
		if got := tok.Append(nil, strings.Repeat("é", n), 1000); len(got) != want {
			t.Errorf("%d characters: got %d tokens, want %d", n, len(got), want)
		}
	}
}

func TestVocabularyFaults(t *testing.T) {
	for list, want := range map[string]string{
		"":                                   "no [UNK]",
		"[UNK]\n[SEP]\n":                     "no [CLS]",
		"[UNK]\n[CLS]\n":                     "no [SEP]",
		`{"model": {"vocab": {"[UNK]": 0}}}`: "one a line",
		strings.Repeat("x\n", 1<<20):         "more than 1048576",
	} {
		if _, err := wordpiece.NewVocabulary(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q in it", list, err, want)
		}
	}
}

func TestLastOfEqualTokensCounts(t *testing.T) {
	v, err := wordpiece.NewVocabulary("[UNK]\n[CLS]\n[SEP]\na\nb\na\n")
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := v.ID("a"); !ok || id != 5 {
		t.Errorf("got %d, %v, want 5", id, ok)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("Hello, wörld! [MASK] 中文 e\u0301\xff", "[SEP]", 12, true)
	f.Add(strings.Repeat("a\u0301", 300), "", 0, false)
	f.Add("\u1100\u1161\u11a8\u2126\U00011938", "x", -3, true)
	f.Fuzz(func(t *testing.T, text, pair string, limit int, small bool) {
		o := uncased()
		o.Lowercase, o.StripAccents = small, small
		limit = min(limit, 1<<16)
		tok := wordpiece.New(bert(t), o)
		ids, first := tok.Encode(text, nil, limit)
		if first != len(ids) || len(ids) > max(limit, 2) {
			t.Errorf("%+q, %d: got %d ids, %d", text, limit, len(ids), first)
		}
		both, at := tok.Encode(text, &pair, limit)
		if at > len(both) || len(both) > max(limit, 3) || both[at-1] != 102 || both[len(both)-1] != 102 {
			t.Errorf("%+q, %+q, %d: got %v, %d", text, pair, limit, both, at)
		}
		for _, id := range append(ids, both...) {
			if id < 0 || id >= 30522 {
				t.Errorf("%+q: id %d", text, id)
			}
		}
		// Two texts with white space between them have the tokens of both, unless that parts a special token.
		if utf8.ValidString(text) && !strings.Contains(text+pair, "[") {
			whole := tok.Append(nil, text+" "+pair, 1<<20)
			if parts := tok.Append(tok.Append(nil, text, 1<<20), pair, 1<<20); !slices.Equal(whole, parts) {
				t.Errorf("%+q, %+q: got %v together and %v apart", text, pair, whole, parts)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	tok := wordpiece.New(bert(b), uncased())
	for name, text := range map[string]string{
		"english": strings.Repeat("I would not recommend this product to anyone, really! ", 20),
		"mixed":   strings.Repeat("Straße, 東京, Αθήνα, naïveté, Москва! ", 20),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Encode(text, nil, 512)
			}
		})
	}
}
