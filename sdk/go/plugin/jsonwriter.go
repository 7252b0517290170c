package plugin

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// JSONWriter builds one JSON document piece by piece, putting commas and colons where they belong. It is a fraction of
// encoding/json's size. The zero value is ready to use. Whoever writes keys outside of objects or leaves containers open
// gets a broken document; the server checks.
type JSONWriter struct {
	buf  []byte
	next bool // a comma goes before the next key or value
}

// BeginObject opens an object.
func (w *JSONWriter) BeginObject() { w.open('{') }

// EndObject closes the innermost object.
func (w *JSONWriter) EndObject() { w.end('}') }

// BeginArray opens an array.
func (w *JSONWriter) BeginArray() { w.open('[') }

// EndArray closes the innermost array.
func (w *JSONWriter) EndArray() { w.end(']') }

// Key writes the name of the next value in an object.
func (w *JSONWriter) Key(name string) {
	w.comma()
	w.buf = append(AppendJSONString(w.buf, name), ':')
	w.next = false
}

// String writes a string; bytes that are not UTF-8 become U+FFFD.
func (w *JSONWriter) String(s string) {
	w.comma()
	w.buf = AppendJSONString(w.buf, s)
}

// Int writes a whole number.
func (w *JSONWriter) Int(v int64) {
	w.comma()
	w.buf = strconv.AppendInt(w.buf, v, 10)
}

// Float writes a number with as many digits as it takes to read the same one back; infinities and NaN become null.
func (w *JSONWriter) Float(v float64) { w.float(v, 64) }

// Float32 is Float with the digits of a float32.
func (w *JSONWriter) Float32(v float32) { w.float(float64(v), 32) }

// Bool writes true or false.
func (w *JSONWriter) Bool(v bool) {
	w.comma()
	w.buf = strconv.AppendBool(w.buf, v)
}

// Null writes null.
func (w *JSONWriter) Null() { w.Raw(JSON("null")) }

// Raw writes a document that is JSON already.
func (w *JSONWriter) Raw(doc JSON) {
	w.comma()
	w.buf = append(w.buf, doc...)
}

// JSON returns what was written so far.
func (w *JSONWriter) JSON() JSON { return w.buf }

func (w *JSONWriter) float(v float64, bits int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		w.Null()
		return
	}
	w.comma()
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	w.buf = strconv.AppendFloat(w.buf, v, format, -1, bits)
}

func (w *JSONWriter) open(c byte) {
	w.comma()
	w.buf, w.next = append(w.buf, c), false
}

func (w *JSONWriter) end(c byte) { w.buf, w.next = append(w.buf, c), true }

func (w *JSONWriter) comma() {
	if w.next {
		w.buf = append(w.buf, ',')
	}
	w.next = true
}

const hex = "0123456789abcdef"

// AppendJSONString appends s as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s { // broken UTF-8 reads as U+FFFD
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029:
			b = append(b, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// quote is strconv.Quote for messages.
func quote(s string) string { return string(AppendJSONString(nil, s)) }
