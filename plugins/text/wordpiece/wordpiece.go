// Package wordpiece cuts text into the tokens of BERT and of the models that came from it, as the reference tokeniser does
// (BertNormalizer, BertPreTokenizer and WordPiece of the tokenizers library): control characters go, every Chinese
// character and every punctuation mark is a word of its own, accents are stripped and letters lower-cased, and each word is
// cut into the longest pieces that the vocabulary has.
//
// It is plain Go and knows nothing of plugins' ports, so that a plugin of your own can use it with a vocabulary of its own.
package wordpiece

import (
	"math"
	"strings"
	"unicode/utf8"
)

// continuation is how a token starts that does not start a word.
const continuation = "##"

// maxWord is how many characters a word may have; a longer one is unknown, as in the reference.
const maxWord = 100

// Options say how a model's tokens were made. The zero value is that of cased models.
type Options struct {
	// Lowercase makes letters small.
	Lowercase bool
	// StripAccents takes accents away: é becomes e.
	StripAccents bool
	// SplitChinese makes every Chinese character a word.
	SplitChinese bool
	// Specials takes [CLS], [SEP], [UNK], [PAD] and [MASK] in a text for these tokens; else they are text like any other.
	Specials bool
}

// Tokeniser makes tokens of text. It does not change; any number of goroutines may use it.
type Tokeniser struct {
	vocabulary *Vocabulary
	options    Options
}

// New returns a tokeniser.
func New(v *Vocabulary, o Options) *Tokeniser { return &Tokeniser{v, o} }

// Append appends the ids of text's first limit tokens to ids, without any that frame a text.
func (t *Tokeniser) Append(ids []int64, text string, limit int) []int64 {
	limit = min(limit, math.MaxInt-len(ids)) + len(ids)
	c := cutter{t: t, ids: ids, limit: limit}
	for text != "" && len(c.ids) < limit {
		at, s := t.nextSpecial(text)
		c.plain(text[:at])
		text = text[at:]
		if s != nil {
			c.add(s.id)
			text = text[len(s.text):]
		}
	}
	return c.ids
}

// Encode returns the row that a model takes: the ids of [CLS], text's tokens and [SEP]. A pair, when there is one, and its own
// [SEP] come after that. A row longer than limit loses tokens at its end; of a pair the longer text does, then both in turn.
// first is how many ids there are before the pair's.
func (t *Tokeniser) Encode(text string, pair *string, limit int) (ids []int64, first int) {
	v := t.vocabulary
	frame := 2
	if pair != nil {
		frame = 3
	}
	room := max(limit-frame, 0)
	ids = append(make([]int64, 0, 64), v.first)
	if pair == nil {
		ids = append(t.Append(ids, text, room), v.end)
		return ids, len(ids)
	}
	// Which of the two is longer decides what is cut, so that both are counted whole.
	ids = t.Append(ids, text, math.MaxInt)
	other := t.Append(nil, *pair, math.MaxInt)
	n, m := share(len(ids)-1, len(other), room)
	ids = append(ids[:1+n], v.end)
	first = len(ids)
	return append(append(ids, other[:m]...), v.end), first
}

// share returns how much of two texts of n and m tokens is kept in room, as the reference's longest-first truncation does.
func share(n, m, room int) (keptN, keptM int) {
	if n+m <= room {
		return n, m
	}
	short, long := min(n, m), room-min(n, m)
	if short > long {
		short, long = room/2, room-room/2
	}
	if n > m {
		return min(n, long), short
	}
	return short, min(m, long)
}

// nextSpecial returns where the first special token of text stands, and which it is: the text's end and nil without one.
func (t *Tokeniser) nextSpecial(text string) (at int, found *special) {
	if !t.options.Specials {
		return len(text), nil
	}
	for i := 0; i < len(text); i++ {
		n := strings.IndexByte(text[i:], '[')
		if n < 0 {
			break
		}
		i += n
		for j := range t.vocabulary.specials {
			if s := &t.vocabulary.specials[j]; strings.HasPrefix(text[i:], s.text) {
				return i, s
			}
		}
	}
	return len(text), nil
}

// cutter is one text on its way.
type cutter struct {
	t     *Tokeniser
	ids   []int64
	limit int
	word  []byte // what has been read of a run without white space
	ascii bool   // whether all of it is ASCII
}

func (c *cutter) full() bool { return len(c.ids) >= c.limit }

func (c *cutter) add(id int64) {
	if !c.full() {
		c.ids = append(c.ids, id)
	}
}

// plain cuts a text without special tokens.
func (c *cutter) plain(text string) {
	c.start()
	for _, r := range text {
		switch {
		case dropped(r):
		case isSpace(r):
			c.flush()
		case c.t.options.SplitChinese && isChinese(r):
			c.flush()
			c.push(r)
			c.flush()
		default:
			c.push(r)
		}
		if c.full() {
			return
		}
	}
	c.flush()
}

func (c *cutter) start() { c.word, c.ascii = c.word[:0], true }

func (c *cutter) push(r rune) {
	c.word = utf8.AppendRune(c.word, r)
	c.ascii = c.ascii && r < utf8.RuneSelf
}

// flush ends a run without white space: it is normalised and cut at its punctuation.
func (c *cutter) flush() {
	run := c.t.normalise(c.word, c.ascii)
	begin := 0
	for i := 0; i < len(run); {
		r, size := utf8.DecodeRune(run[i:])
		if isPunctuation(r) || isSpace(r) {
			c.pieces(run[begin:i])
			if begin = i + size; isPunctuation(r) {
				c.pieces(run[i:begin])
			}
		}
		i += size
	}
	c.pieces(run[begin:])
	c.start()
}

// pieces cuts a word into the longest tokens that there are. A word that cannot be cut is one unknown token.
func (c *cutter) pieces(word []byte) {
	if len(word) == 0 || c.full() {
		return
	}
	if len(word) > maxWord && utf8.RuneCount(word) > maxWord {
		c.add(c.t.vocabulary.unknown)
		return
	}
	before := len(c.ids)
	for rest, prefix := word, ""; len(rest) > 0; prefix = continuation {
		id, size := c.t.vocabulary.longestIn(prefix, rest)
		if size == 0 {
			c.ids = append(c.ids[:before], c.t.vocabulary.unknown)
			return
		}
		c.ids = append(c.ids, id)
		rest = rest[size:]
	}
	c.ids = c.ids[:min(len(c.ids), c.limit)]
}

// longestIn returns the longest token that is prefix and a beginning of word, and the length of that beginning in bytes: 0
// when there is none.
func (v *Vocabulary) longestIn(prefix string, word []byte) (id int64, size int) {
	h := hash(hashStart, prefix)
	for i := range min(len(word), v.longest-len(prefix)) {
		h = hashByte(h, word[i])
		if i+1 < len(word) && !utf8.RuneStart(word[i+1]) {
			continue // a character ends elsewhere
		}
		if found, ok := v.find(h, prefix, word[:i+1]); ok {
			id, size = found, i+1
		}
	}
	return id, size
}
