package wordpiece

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalise strips accents and lower-cases a run without white space. ascii tells that it has nothing but ASCII. The result
// may alias run.
func (t *Tokeniser) normalise(run []byte, ascii bool) []byte {
	if ascii {
		if t.options.Lowercase {
			for i, b := range run {
				if b >= 'A' && b <= 'Z' {
					run[i] = b + 'a' - 'A'
				}
			}
		}
		return run
	}
	if t.options.StripAccents {
		run = norm.NFD.Append(nil, run...)
	}
	out := make([]byte, 0, len(run))
	for i := 0; i < len(run); {
		r, size := utf8.DecodeRune(run[i:])
		i += size
		switch {
		case t.options.StripAccents && unicode.Is(marksTable, r):
		case t.options.Lowercase:
			out = appendLower(out, r)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// appendLower appends r in lower case. İ is the one letter of which that is two, where its dot was not stripped.
func appendLower(out []byte, r rune) []byte {
	if r == 'İ' {
		return append(out, "i\u0307"...)
	}
	return utf8.AppendRune(out, unicode.ToLower(r))
}

// dropped reports whether r is left out: control and format characters, what has no character yet or for private use, and
// what stands for bytes that are no text.
func dropped(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return false
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	}
	return unicode.Is(droppedTable, r)
}

// isSpace reports whether r is white space, the White_Space property of Unicode.
func isSpace(r rune) bool { return unicode.IsSpace(r) }

// isPunctuation reports whether r is a punctuation mark; as in the reference all signs of ASCII are.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}
	return unicode.Is(punctuationTable, r)
}

// isChinese reports whether r is in one of the blocks of Chinese characters that the reference sets apart. Japanese kana and
// Korean letters are written in words and are not among them.
func isChinese(r rune) bool {
	return r >= 0x4e00 && r <= 0x9fff || r >= 0x3400 && r <= 0x4dbf || r >= 0x20000 && r <= 0x2a6df ||
		r >= 0x2a700 && r <= 0x2b73f || r >= 0x2b740 && r <= 0x2b81f || r >= 0x2b920 && r <= 0x2ceaf ||
		r >= 0xf900 && r <= 0xfaff || r >= 0x2f800 && r <= 0x2fa1f
}
