// Package text is the plugin that turns text into what text models take, and what they say into vectors that can be compared.
// It has two tokenisers: WordPiece, for BERT and the models that came from it, and the one that the example sentiment models
// were trained with: lower-cased ASCII words, an id for each from a vocabulary, and a hashed id for each pair of neighbours.
package text

import (
	_ "embed" // for the vocabulary

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// vocabulary is examples/models/vocab.txt: the token on line n, from 0, has id n.
//
//go:embed vocab.txt
var vocabulary string

// Plugin describes the plugin.
func Plugin() plugin.Plugin {
	t := newTokeniser(vocabulary)
	return plugin.Plugin{
		Name: "text", Version: "1.1.0", Doc: "Turns text into what text models take.",
		Functions: []plugin.Function{
			plugin.Func("tokenise", "cuts a text into words and numbers them and their pairs", t.Tokenise),
			plugin.Func("wordpiece", "cuts a text, or two, into the tokens of BERT and the models that came from it", Wordpiece),
			plugin.Func("mean_pool", "makes one vector for each text of what a model says of its tokens", MeanPool),
			plugin.Func("cosine", "says how alike two vectors are", Cosine),
		},
	}
}

// TokeniseIn is a text.
type TokeniseIn struct {
	Text string `tdm:"text"`
}

// TokeniseWith configures Tokenise.
type TokeniseWith struct {
	MaxTokens int `with:"max_tokens" default:"1024" min:"1" max:"65536" doc:"what is longer is cut"`
	PadTo     int `with:"pad_to" default:"1" min:"1" max:"65536" doc:"rows are filled up with 0 to a multiple of this, so that texts of similar length share batches"`
}

// TokeniseOut are two rows of equal length, which models take as they are.
type TokeniseOut struct {
	IDs     plugin.Tensor[int64] `tdm:"ids,shape=1 seq" doc:"the id of each token; 1 for unknown ones, 0 where there is none"`
	Bigrams plugin.Tensor[int64] `tdm:"bigrams,shape=1 seq" doc:"a hash of each token and the next, 1 to 131071; 0 for the last"`
}

const (
	unknownID     = 1
	bigramBuckets = 1 << 17
)

// tokeniser numbers words.
type tokeniser struct {
	ids map[string]int64
	crc [256]uint32
}

// newTokeniser returns a tokeniser for a vocabulary: one token a line.
func newTokeniser(list string) *tokeniser {
	t := &tokeniser{ids: make(map[string]int64, 1<<15)}
	for n := int64(0); list != ""; n++ {
		end := 0
		for end < len(list) && list[end] != '\n' {
			end++
		}
		t.ids[list[:end]] = n
		list = list[min(end+1, len(list)):]
	}
	for i := range t.crc {
		c := uint32(i)
		for range 8 {
			c = c>>1 ^ 0xedb88320&-(c&1)
		}
		t.crc[i] = c
	}
	return t
}

// Tokenise cuts a text into tokens and numbers them. A text without tokens gives rows of length 0, or of PadTo zeros
// when rows are padded.
func (t *tokeniser) Tokenise(_ *plugin.Context, in TokeniseIn, with TokeniseWith) (TokeniseOut, error) {
	words := tokens(in.Text, with.MaxTokens)
	n := len(words)
	if with.PadTo > 1 {
		n = max(with.PadTo, padded(n, with.PadTo))
	}
	out := TokeniseOut{IDs: plugin.NewTensor[int64](1, int64(n)), Bigrams: plugin.NewTensor[int64](1, int64(n))}
	for i, word := range words {
		id, ok := t.ids[word]
		if !ok {
			id = unknownID
		}
		out.IDs.Data[i] = id
		if i > 0 {
			out.Bigrams.Data[i-1] = t.bigram(words[i-1], word)
		}
	}
	return out, nil
}

// tokens returns the first limit matches of [a-z0-9']+|[!?] in text with its ASCII letters lower-cased.
func tokens(text string, limit int) []string {
	lower := make([]byte, len(text))
	for i := range len(text) {
		lower[i] = lowerCase(text[i])
	}
	text = string(lower)
	var words []string
	for i := 0; i < len(text) && len(words) < limit; {
		start := i
		for i < len(text) && inWord(text[i]) {
			i++
		}
		if i > start {
			words = append(words, text[start:i])
			continue
		}
		if text[i] == '!' || text[i] == '?' {
			words = append(words, text[i:i+1])
		}
		i++
	}
	return words
}

func lowerCase(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func inWord(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '\'' }

// bigram returns the bucket of two neighbours: 1 + CRC-32 of "first second", folded.
func (t *tokeniser) bigram(first, second string) int64 {
	crc := ^uint32(0)
	crc = t.update(crc, first)
	crc = t.crc[byte(crc)^' '] ^ crc>>8
	crc = ^t.update(crc, second)
	return 1 + int64(crc%(bigramBuckets-1))
}

func (t *tokeniser) update(crc uint32, s string) uint32 {
	for i := range len(s) {
		crc = t.crc[byte(crc)^s[i]] ^ crc>>8
	}
	return crc
}
