package graph

import (
	"bytes"
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// treeKind says what a tree is.
type treeKind uint8

const (
	treeNull treeKind = iota
	treeBool
	treeNumber
	treeString
	treeList
	treeMapping
)

func (k treeKind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a mapping"}[k]
}

// tree is a document read from YAML or JSON: what both have in common, with places.
type tree struct {
	kind  treeKind
	text  string // of a string; JSON of a number or bool
	items []*tree
	pairs []pair
	pos   Pos
}

// pair is one entry of a mapping; keys may repeat.
type pair struct {
	key   string
	pos   Pos
	value *tree
}

// find returns the index of the first pair with key, -1 when there is none.
func (t *tree) find(key string) int {
	if t == nil {
		return -1
	}
	for i := range t.pairs {
		if t.pairs[i].key == key {
			return i
		}
	}
	return -1
}

// maxStructure bounds the bytes of a document that can open a value. A YAML node costs some 400 bytes of memory, so that a
// document of 1 MiB made of commas only would cost 400 MB.
const maxStructure = 200_000

// maxDigits bounds the length of numbers and the size of their exponents.
const maxDigits = 400

// load reads a document. The first fault ends it: a text that is not well formed has no parts to go on with.
func load(src []byte) (*tree, *Fault) {
	if len(src) > MaxDocumentBytes {
		return nil, faultf(CodeTooLarge, Pos{Line: 1, Column: 1}, "the document has %d bytes, more than %d", len(src), MaxDocumentBytes)
	}
	if at := invalidUTF8(src); at >= 0 {
		return nil, faultf(CodeSyntax, placeOf(src, at), "the document is not UTF-8")
	}
	if n := structure(src); n > maxStructure {
		return nil, faultf(CodeTooLarge, Pos{Line: 1, Column: 1}, "the document has more than %d values", maxStructure)
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if !looksLikeJSON(src) {
		return loadYAML(src)
	}
	t, jsonFault := loadJSON(src)
	if jsonFault == nil || jsonFault.Code != CodeSyntax {
		return t, jsonFault
	}
	// YAML's flow style with quoted keys looks like JSON too.
	if t, f := loadYAML(src); f == nil {
		return t, nil
	}
	return nil, jsonFault
}

// looksLikeJSON reports whether src opens as a JSON object does: a brace, then a quote or the closing brace.
func looksLikeJSON(src []byte) bool {
	rest := bytes.TrimLeft(src, " \t\r\n")
	if len(rest) == 0 || rest[0] != '{' {
		return false
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '"' || rest[0] == '}')
}

func structure(src []byte) int {
	n := 0
	for _, c := range src {
		switch c {
		case ',', ':', '[', '{', '-', '?', '\n':
			n++
		}
	}
	return n
}

func invalidUTF8(src []byte) int {
	if utf8.Valid(src) {
		return -1
	}
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// placeOf returns the place of the byte at offset.
func placeOf(src []byte, offset int) Pos {
	offset = min(max(offset, 0), len(src))
	head := src[:offset]
	line := bytes.Count(head, []byte("\n"))
	start := bytes.LastIndexByte(head, '\n') + 1
	return Pos{Line: line + 1, Column: utf8.RuneCount(head[start:]) + 1}
}

// number returns the JSON text of a number as YAML writes it; ok is false for what JSON cannot say or what is too long.
func number(text string) (_ string, ok bool) {
	if len(text) > maxDigits {
		return "", false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 && !strings.HasPrefix(strings.TrimLeft(text, "+-"), "0x") {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e < -maxDigits || e > maxDigits {
			return "", false
		}
	}
	if json.Valid([]byte(text)) {
		return text, true
	}
	plain := strings.ReplaceAll(text, "_", "")
	if n, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return strconv.FormatInt(n, 10), true
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(plain, "+"), 0, 64); err == nil {
		return strconv.FormatUint(n, 10), true
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", false
	}
	b, err := json.Marshal(f)
	return string(b), err == nil
}

// appendJSON appends the canonical JSON of t: keys sorted by bytes, no spaces, nothing escaped that need not be.
func (t *tree) appendJSON(b []byte) []byte {
	switch t.kind {
	case treeBool, treeNumber:
		return append(b, t.text...)
	case treeString:
		return appendString(b, t.text)
	case treeList:
		b = append(b, '[')
		for i, item := range t.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case treeMapping:
		return t.appendMapping(b)
	default:
		return append(b, "null"...)
	}
}

func (t *tree) appendMapping(b []byte) []byte {
	pairs := make([]pair, len(t.pairs))
	copy(pairs, t.pairs)
	sort.SliceStable(pairs, func(i, j int) bool { return pairs[i].key < pairs[j].key })
	b = append(b, '{')
	for i, p := range pairs {
		if i > 0 && pairs[i-1].key == p.key {
			continue // a repeated key has its fault already
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, p.key), ':')
		b = p.value.appendJSON(b)
	}
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { // strings always encode
		return append(b, `""`...)
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
