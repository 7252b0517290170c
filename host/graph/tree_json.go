package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// loadJSON reads one JSON document.
func loadJSON(src []byte) (*tree, *Fault) {
	var whole json.RawMessage
	if err := json.Unmarshal(src, &whole); err != nil {
		at := len(src)
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			at = int(syntax.Offset) - 1
		}
		return nil, faultf(CodeSyntax, placeOf(src, at), "not JSON: %s", err.Error())
	}
	r := &jsonReader{src: src, dec: json.NewDecoder(bytes.NewReader(src)), pos: Pos{Line: 1, Column: 1}}
	r.dec.UseNumber()
	return r.value(0)
}

// jsonReader reads values token by token, so that places, repeated keys and depth are known.
type jsonReader struct {
	src []byte
	dec *json.Decoder
	at  int // offset that pos belongs to
	pos Pos
}

// place returns where the next token starts.
func (r *jsonReader) place() Pos {
	at := int(r.dec.InputOffset())
	for at < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[at]) >= 0 {
		at++
	}
	for r.at < at {
		c, n := utf8.DecodeRune(r.src[r.at:])
		r.at += n
		r.pos.Column++
		if c == '\n' {
			r.pos = Pos{Line: r.pos.Line + 1, Column: 1}
		}
	}
	return r.pos
}

func (r *jsonReader) token() (json.Token, Pos, *Fault) {
	pos := r.place()
	tok, err := r.dec.Token()
	if err != nil { // the whole is known to be JSON
		return nil, pos, faultf(CodeSyntax, pos, "not JSON: %s", err.Error())
	}
	return tok, pos, nil
}

func (r *jsonReader) value(depth int) (*tree, *Fault) {
	tok, pos, f := r.token()
	if f != nil {
		return nil, f
	}
	t := &tree{pos: pos}
	switch v := tok.(type) {
	case bool:
		t.kind, t.text = treeBool, "false"
		if v {
			t.text = "true"
		}
	case json.Number:
		text, ok := number(v.String())
		if !ok {
			return nil, faultf(CodeBadValue, pos, "the number is too long or too large")
		}
		t.kind, t.text = treeNumber, text
	case string:
		t.kind, t.text = treeString, v
	case json.Delim:
		if depth >= MaxNesting {
			return nil, faultf(CodeLimit, pos, "lists and mappings are nested deeper than %d", MaxNesting)
		}
		if v == '[' {
			return t, r.list(t, depth)
		}
		return t, r.mapping(t, depth)
	}
	return t, nil
}

func (r *jsonReader) list(t *tree, depth int) *Fault {
	t.kind = treeList
	for r.dec.More() {
		item, f := r.value(depth + 1)
		if f != nil {
			return f
		}
		t.items = append(t.items, item)
	}
	_, _, f := r.token()
	return f
}

func (r *jsonReader) mapping(t *tree, depth int) *Fault {
	t.kind = treeMapping
	for r.dec.More() {
		tok, pos, f := r.token()
		if f != nil {
			return f
		}
		key, _ := tok.(string)
		v, f := r.value(depth + 1)
		if f != nil {
			return f
		}
		t.pairs = append(t.pairs, pair{key: key, pos: pos, value: v})
	}
	_, _, f := r.token()
	return f
}
