package wordpiece_test

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/plugins/text/wordpiece"
)

// The recipe of the strings in testdata/reference.bin; examples/frameworks/wordpiece.py has it too and says what the file holds.

const (
	allStrings = 10_000
	someEvery  = 10
)

// numbers is splitmix64.
type numbers uint64

func (n *numbers) below(limit int) int {
	*n += 0x9E3779B97F4A7C15
	z := uint64(*n)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(limit))
}

func literals() []string {
	return []string{
		"[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]", "[cls]", "[MASK", "SEP]", "[[CLS]]", "[ SEP ]", "##ing", "[unused7]",
	}
}

func oddCharacters() []rune {
	return []rune{
		0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x7F, 0x80, 0x85, 0xA0, 0xAD, 0x0130, 0x0131, 0x01C5, 0x0345, 0x03A3, 0x03C2, 0x1E9E,
		0x200B, 0x200C, 0x200D, 0x200E, 0x2028, 0x2029, 0x202E, 0x2060, 0x2126, 0x212A, 0x212B, 0x3000, 0xE000, 0xFB01, 0xFDFA, 0xFE0F,
		0xFEFF, 0xFFFC, 0xFFFD, 0x1F1E6, 0x1F3FD, 0x1F469, 0xE0041, 0xF0000, 0x10FFFF, 0xDF, 0x2E43, 0x166D, 0x11938,
	}
}

// span returns the characters of ranges such as "0041-005a".
func span(t testing.TB, ranges ...string) []rune {
	t.Helper()
	var out []rune
	for _, r := range ranges {
		low, high, _ := strings.Cut(r, "-")
		from, err1 := strconv.ParseInt(low, 16, 32)
		to, err2 := strconv.ParseInt(high, 16, 32)
		if err1 != nil || err2 != nil {
			t.Fatalf("range %s: %v, %v", r, err1, err2)
		}
		for c := from; c <= to; c++ {
			out = append(out, rune(c))
		}
	}
	return out
}

// recipe makes the strings.
type recipe struct {
	tokens  []string
	scripts [][]rune
	marks   []rune
}

func newRecipe(t testing.TB) *recipe {
	t.Helper()
	vocabulary, err := os.ReadFile("bert-uncased.txt")
	if err != nil {
		t.Fatal(err)
	}
	alphabets, err := os.ReadFile("testdata/alphabets.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := &recipe{
		tokens: strings.Split(strings.TrimSuffix(string(vocabulary), "\n"), "\n"),
		marks:  span(t, "0300-036f", "20d0-20f0", "302e-302f", "3099-309a"),
	}
	for line := range strings.Lines(string(alphabets)) {
		r.scripts = append(r.scripts, span(t, strings.Fields(line)[1:]...))
	}
	return r
}

func (r *recipe) part(n *numbers) string {
	switch kind := n.below(16); {
	case kind < 6:
		token := strings.TrimPrefix(r.tokens[n.below(len(r.tokens))], "##")
		if n.below(3) == 0 {
			token = strings.Map(func(c rune) rune {
				if c >= 'a' && c <= 'z' {
					return c - 32
				}
				return c
			}, token)
		}
		return token
	case kind < 12:
		script, most := r.scripts[n.below(len(r.scripts))], 12
		if n.below(40) == 0 {
			most = 130
		}
		return several(n, most, script)
	case kind == 12:
		return several(n, 10, []rune("!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"))
	case kind == 13:
		return several(n, 4, r.marks)
	case kind == 14:
		odd := oddCharacters()
		return string(odd[n.below(len(odd))])
	}
	return literals()[n.below(len(literals()))]
}

func several(n *numbers, most int, from []rune) string {
	var out strings.Builder
	for range 1 + n.below(most) {
		out.WriteRune(from[n.below(len(from))])
	}
	return out.String()
}

// text returns a text and the longest row that it may make.
func (r *recipe) text(number int) (string, int) {
	separators := []string{" ", " ", " ", " ", "", "", "\t\n", "\u3000"}
	n := numbers(number)
	limit := 8 + n.below(160)
	var out strings.Builder
	for range 1 + n.below(24) {
		out.WriteString(r.part(&n))
		out.WriteString(separators[n.below(len(separators))])
	}
	return out.String(), limit
}

// fnv hashes ids as 32-bit numbers.
func fnv(ids []int64) uint32 {
	h := uint32(2166136261)
	for _, id := range ids {
		for _, b := range binary.LittleEndian.AppendUint32(nil, uint32(id)) {
			h = (h ^ uint32(b)) * 16777619
		}
	}
	return h
}

// reference reads testdata/reference.bin after it has made sure that both sides make the same strings.
func reference(t *testing.T, texts []string) (uncased, cased, pairs []uint32) {
	t.Helper()
	data, err := os.ReadFile("testdata/reference.bin")
	if err != nil {
		t.Fatal(err)
	}
	all := sha256.Sum256([]byte(strings.Join(texts, "\x00") + "\x00"))
	if len(data) != sha256.Size+4*(allStrings+2*allStrings/someEvery) || string(data[:sha256.Size]) != string(all[:]) {
		t.Fatal("testdata/reference.bin is about other strings than are made here: run examples/frameworks/wordpiece.py again")
	}
	var hashes []uint32
	for b := data[sha256.Size:]; len(b) > 0; b = b[4:] {
		hashes = append(hashes, binary.LittleEndian.Uint32(b))
	}
	return hashes[:allStrings], hashes[allStrings : allStrings+allStrings/someEvery], hashes[allStrings+allStrings/someEvery:]
}

// TestReference compares 10,000 strings of many scripts with the reference tokeniser.
func TestReference(t *testing.T) {
	r := newRecipe(t)
	texts, limits := make([]string, allStrings), make([]int, allStrings)
	for i := range texts {
		texts[i], limits[i] = r.text(i)
	}
	wantUncased, wantCased, wantPairs := reference(t, texts)
	uncased := wordpiece.New(bert(t), uncased())
	cased := wordpiece.New(bert(t), wordpiece.Options{SplitChinese: true, Specials: true})
	failed := 0
	fail := func(what, text string, ids []int64) {
		if failed++; failed <= 20 {
			t.Errorf("%s: %+q: got %v, which the reference does not say", what, text, ids)
		}
	}
	for i, text := range texts {
		if ids, _ := uncased.Encode(text, nil, limits[i]); fnv(ids) != wantUncased[i] {
			fail("uncased", text, ids)
		}
		if i%someEvery != 0 {
			continue
		}
		if ids, _ := cased.Encode(text, nil, limits[i]); fnv(ids) != wantCased[i/someEvery] {
			fail("cased", text, ids)
		}
		ids, first := uncased.Encode(text, &texts[(i+1)%allStrings], limits[i])
		for n := range len(ids) {
			ids = append(ids, 0)
			if n >= first {
				ids[len(ids)-1] = 1
			}
		}
		if fnv(ids) != wantPairs[i/someEvery] {
			fail("pair", text, ids)
		}
	}
	if failed > 20 {
		t.Errorf("and %d more", failed-20)
	}
}
