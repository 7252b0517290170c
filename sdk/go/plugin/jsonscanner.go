package plugin

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads one JSON document; it serves configurations, which the server has validated, and is strict.
type scanner struct {
	data []byte
	pos  int
}

const maxNesting = 100

func (s *scanner) fail(what string) error {
	return errors.New(what + " at byte " + strconv.Itoa(s.pos) + " of the document")
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is no space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// take consumes c and reports whether it was next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || c == 0 {
		return false
	}
	s.pos++
	return true
}

// word consumes a literal such as true.
func (s *scanner) word(w string) bool {
	s.space()
	if len(s.data)-s.pos < len(w) || string(s.data[s.pos:s.pos+len(w)]) != w {
		return false
	}
	s.pos += len(w)
	return true
}

// end reports whether nothing is left.
func (s *scanner) end() bool { return s.peek() == 0 && s.pos >= len(s.data) }

// object calls field for each member; field must consume the value.
func (s *scanner) object(field func(name string) error) error {
	if !s.take('{') {
		return s.fail("expected an object")
	}
	if s.take('}') {
		return nil
	}
	for {
		name, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.fail("expected ':'")
		}
		if err := field(name); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.fail("expected ',' or '}'")
		}
	}
}

// array calls item for each element; item must consume it.
func (s *scanner) array(item func() error) error {
	if !s.take('[') {
		return s.fail("expected an array")
	}
	if s.take(']') {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.fail("expected ',' or ']'")
		}
	}
}

// number consumes a number and returns its text.
func (s *scanner) number() (string, error) {
	s.space()
	start := s.pos
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			s.pos++
			continue
		}
		break
	}
	text := string(s.data[start:s.pos])
	if !validNumber(text) {
		s.pos = start
		return "", s.fail("expected a number")
	}
	return text, nil
}

// validNumber is JSON's grammar, which is narrower than strconv's.
func validNumber(t string) bool {
	digits := func() bool {
		n := 0
		for n < len(t) && t[n] >= '0' && t[n] <= '9' {
			n++
		}
		t = t[n:]
		return n > 0
	}
	if t != "" && t[0] == '-' {
		t = t[1:]
	}
	if len(t) > 1 && t[0] == '0' && t[1] >= '0' && t[1] <= '9' || !digits() {
		return false
	}
	if t != "" && t[0] == '.' {
		t = t[1:]
		if !digits() {
			return false
		}
	}
	if t != "" && (t[0] == 'e' || t[0] == 'E') {
		t = t[1:]
		if t != "" && (t[0] == '-' || t[0] == '+') {
			t = t[1:]
		}
		return digits() && t == ""
	}
	return t == ""
}

// text consumes a string.
func (s *scanner) text() (string, error) {
	if !s.take('"') {
		return "", s.fail("expected a string")
	}
	var out []byte
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			s.pos++
			if !utf8.Valid(out) {
				return "", s.fail("a string that is not UTF-8")
			}
			return string(out), nil
		case c < 0x20:
			return "", s.fail("a control character in a string")
		case c == '\\':
			s.pos++
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
			s.pos++
		}
	}
	return "", s.fail("an unfinished string")
}

// escape consumes what follows a backslash.
func (s *scanner) escape() (rune, error) {
	if s.pos >= len(s.data) {
		return 0, s.fail("an unfinished string")
	}
	c := s.data[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return s.unicode()
	}
	return 0, s.fail("an unknown escape")
}

// unicode consumes the four digits after \u, and a second escape where the first is half of a pair.
func (s *scanner) unicode() (rune, error) {
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if s.pos+1 < len(s.data) && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u' {
		before := s.pos
		s.pos += 2
		low, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both, nil
		}
		s.pos = before
	}
	return utf8.RuneError, nil
}

func (s *scanner) hex4() (rune, error) {
	if s.pos+4 > len(s.data) {
		return 0, s.fail("an unfinished escape")
	}
	n, err := strconv.ParseUint(string(s.data[s.pos:s.pos+4]), 16, 32)
	if err != nil {
		return 0, s.fail("a broken escape")
	}
	s.pos += 4
	return rune(n), nil
}

// skip consumes any value.
func (s *scanner) skip(depth int) error {
	if depth > maxNesting {
		return s.fail("nested too deeply")
	}
	switch c := s.peek(); c {
	case '{':
		return s.object(func(string) error { return s.skip(depth + 1) })
	case '[':
		return s.array(func() error { return s.skip(depth + 1) })
	case '"':
		_, err := s.text()
		return err
	case 't', 'f', 'n':
		if s.word("true") || s.word("false") || s.word("null") {
			return nil
		}
		return s.fail("an unknown word")
	default:
		_, err := s.number()
		return err
	}
}

// ValidJSON reports whether doc is one JSON document.
func ValidJSON(doc JSON) bool {
	s := scanner{data: doc}
	return s.skip(0) == nil && s.end()
}
