package wordpiece

import (
	_ "embed" // for the vocabulary
	"errors"
	"strconv"
	"strings"
	"sync"
)

//go:embed bert-uncased.txt
var bertUncased string

// BERT returns the vocabulary of Google's uncased English BERT: 30,522 tokens. It is read once. The error is always nil: the
// file is part of the program.
var BERT = sync.OnceValues(func() (*Vocabulary, error) { return NewVocabulary(bertUncased) })

// The special tokens. A vocabulary must have the first three.
const (
	tokenUnknown = "[UNK]"
	tokenFirst   = "[CLS]"
	tokenEnd     = "[SEP]"
	tokenPad     = "[PAD]"
	tokenMask    = "[MASK]"
)

// maxTokens bounds a vocabulary, so that its table stays small.
const maxTokens = 1 << 20

// Vocabulary numbers tokens. It does not change; any number of goroutines may use it.
type Vocabulary struct {
	list    string
	starts  []uint32 // token n begins at starts[n]; its line ends before starts[n+1]
	table   []uint32 // n+1 by the token's hash, with open addressing; 0 is a free place
	longest int      // bytes of the longest token

	unknown, first, end, pad int64
	specials                 []special
}

// special is a token that a text may name as it is.
type special struct {
	text string
	id   int64
}

// NewVocabulary reads a vocabulary as BERT's vocab.txt files have it: one token a line, the one on line n, from 0, has the
// id n. It needs [UNK], [CLS] and [SEP]; rows are filled up with [PAD], or 0 when there is none.
func NewVocabulary(list string) (*Vocabulary, error) {
	lines := strings.Count(list, "\n") + 1
	if lines > maxTokens || len(list) > 1<<30 {
		return nil, errors.New("the vocabulary has more than " + strconv.Itoa(maxTokens) + " tokens")
	}
	size := 4
	for size < 2*lines {
		size *= 2
	}
	v := &Vocabulary{list: list, starts: make([]uint32, 0, lines+1), table: make([]uint32, size)}
	for at := 0; at < len(list); {
		v.starts = append(v.starts, uint32(at))
		if n := strings.IndexByte(list[at:], '\n'); n >= 0 {
			at += n + 1
		} else {
			at = len(list)
		}
		v.insert(len(v.starts)-1, at)
	}
	v.starts = append(v.starts, uint32(len(list)))
	return v, v.findSpecials()
}

// insert puts token n, whose line ends before the byte end, into the table. Of equal tokens the last one counts.
func (v *Vocabulary) insert(n, end int) {
	token := trimLine(v.list[v.starts[n]:end])
	v.longest = max(v.longest, len(token))
	for i := v.slot(hash(hashStart, token)); ; i = v.slot(uint32(i) + 1) {
		if other := v.table[i]; other == 0 || v.token(int(other-1)) == token {
			v.table[i] = uint32(n + 1)
			return
		}
	}
}

// token returns token n, which is not the one that is being inserted last.
func (v *Vocabulary) token(n int) string {
	end := len(v.list)
	if n+1 < len(v.starts) {
		end = int(v.starts[n+1])
	}
	return trimLine(v.list[v.starts[n]:end])
}

func trimLine(line string) string { return strings.TrimRight(line, "\r\n") }

func (v *Vocabulary) findSpecials() error {
	for _, s := range []struct {
		token    string
		id       *int64
		required bool
	}{
		{tokenUnknown, &v.unknown, true},
		{tokenFirst, &v.first, true},
		{tokenEnd, &v.end, true},
		{tokenPad, &v.pad, false},
		{tokenMask, new(int64), false},
	} {
		id, ok := v.ID(s.token)
		if !ok && s.required {
			return errors.New("the vocabulary has no " + s.token + ": it is a list of tokens, one a line, as in BERT's vocab.txt")
		}
		if ok {
			*s.id = id
			v.specials = append(v.specials, special{s.token, id})
		}
	}
	return nil
}

// Pad returns the id that fills up rows.
func (v *Vocabulary) Pad() int64 { return v.pad }

// Len returns how many tokens there are.
func (v *Vocabulary) Len() int { return len(v.starts) - 1 }

// ID returns the id of a token.
func (v *Vocabulary) ID(token string) (id int64, ok bool) {
	return v.find(hash(hashStart, token), "", []byte(token))
}

// find looks up the token that is prefix and rest, and hashes to h.
func (v *Vocabulary) find(h uint32, prefix string, rest []byte) (id int64, ok bool) {
	for i := v.slot(h); v.table[i] != 0; i = v.slot(uint32(i) + 1) {
		n := int(v.table[i] - 1)
		token := v.token(n)
		if len(token) == len(prefix)+len(rest) && token[:len(prefix)] == prefix && token[len(prefix):] == string(rest) {
			return int64(n), true
		}
	}
	return 0, false
}

// slot returns the place of a hash in the table.
func (v *Vocabulary) slot(h uint32) int { return int(h & uint32(len(v.table)-1)) }

// hashStart is what FNV-1a starts with.
const hashStart = 2166136261

// hash goes on with h over s, FNV-1a.
func hash(h uint32, s string) uint32 {
	for i := range len(s) {
		h = hashByte(h, s[i])
	}
	return h
}

func hashByte(h uint32, b byte) uint32 { return (h ^ uint32(b)) * 16777619 }
