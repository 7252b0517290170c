package wire

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tandem-serve/tandem/internal/pieces"
)

// jsonScanner finds where the values of a JSON document begin and end. What is in them is left to who reads them: brackets must be as
// many as they close, and quotes must be closed.
type jsonScanner struct{ left []byte }

var errJSONEnd = errors.New("unexpected end of JSON")

// eachMember calls f with the names and values of an object, in order; quoted is a name as it stands.
func eachMember(object []byte, f func(quoted, value []byte) error) error {
	s := jsonScanner{object}
	return s.each('{', '}', func() error {
		quoted, err := s.value()
		if err != nil {
			return err
		}
		if quoted[0] != '"' || !s.next(':') {
			return s.unexpected("a member")
		}
		value, err := s.value()
		if err != nil {
			return err
		}
		return f(quoted, value)
	})
}

// eachItem calls f with the values of an array, in order.
func eachItem(array []byte, f func(value []byte) error) error {
	s := jsonScanner{array}
	return s.each('[', ']', func() error {
		value, err := s.value()
		if err != nil {
			return err
		}
		return f(value)
	})
}

// each calls one to read each of what stands between two brackets, after which there is no more.
func (s *jsonScanner) each(first, last byte, one func() error) error {
	if !s.next(first) {
		return s.unexpected(fmt.Sprintf("%q", first))
	}
	if s.next(last) {
		return s.end()
	}
	for {
		if err := one(); err != nil {
			return err
		}
		if s.next(last) {
			return s.end()
		}
		if !s.next(',') {
			return s.unexpected(fmt.Sprintf("%q or %q", ',', last))
		}
	}
}

// next takes a byte if it is what comes next.
func (s *jsonScanner) next(c byte) bool {
	s.space()
	if len(s.left) == 0 || s.left[0] != c {
		return false
	}
	s.left = s.left[1:]
	return true
}

func (s *jsonScanner) space() { s.left = bytes.TrimLeft(s.left, " \t\r\n") }

// end reports what is wrong when something is left.
func (s *jsonScanner) end() error {
	if s.space(); len(s.left) > 0 {
		return s.unexpected("the end")
	}
	return nil
}

// unexpected returns what is wrong with what comes next.
func (s *jsonScanner) unexpected(want string) error {
	if s.space(); len(s.left) == 0 {
		return errJSONEnd
	}
	return fmt.Errorf("unexpected %.20q in JSON, want %s", s.left[:min(len(s.left), 20)], want)
}

// value takes the value that comes next. It is not empty.
func (s *jsonScanner) value() ([]byte, error) {
	s.space()
	if len(s.left) == 0 {
		return nil, errJSONEnd
	}
	n := valueEnd(s.left)
	if n < 0 {
		return nil, errJSONEnd
	}
	if n == 0 {
		return nil, s.unexpected("a value")
	}
	v := s.left[:n:n]
	s.left = s.left[n:]
	return v, nil
}

// valueEnd returns how many bytes the value takes that b begins with; 0 is none, and less that it does not end.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := quotedEnd(b[i:])
			if n < 0 {
				return n
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth == 0 {
				return scalarEnd(b)
			}
			continue
		}
		if depth < 0 {
			return 0
		}
		if depth == 0 {
			return i + 1
		}
	}
	return -1
}

// scalarEnd returns how many bytes the number or word takes that b begins with.
func scalarEnd(b []byte) int {
	if n := bytes.IndexAny(b, " \t\r\n,:\"{}[]"); n >= 0 {
		return n
	}
	return len(b)
}

// quotedEnd returns how many bytes the text takes that b begins with, quotes included; less than 0 is that it does not end.
func quotedEnd(b []byte) int {
	for at := 1; ; {
		n := pieces.IndexByte(b[at:], '"')
		if n < 0 {
			return -1
		}
		at += n + 1
		escapes := 0
		for b[at-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
	}
}
