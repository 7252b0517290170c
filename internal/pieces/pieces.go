// Package pieces copies, compares and hashes megabytes in pieces. Go stops all goroutines for a moment now and then, to collect garbage
// for one, and waits for each that is within one of the routines of these, which cannot be interrupted: a megabyte of memory that is
// touched for the first time takes up to a millisecond, the hash of a gigabyte half a second, and on a thread that others go before
// many times that.
//
// Each piece is a call of a function that is not inlined: a signal nearly always finds the goroutine within a routine, and is of no use
// there, but Go also looks for whether it is to stop where such a function begins.
package pieces

import (
	"bytes"
	"crypto/sha256"
	"io"
	"strings"
	"unsafe"
)

// Size is how many bytes are done at a stretch.
const Size = 256 << 10

// Copy copies like the builtin.
func Copy(dst, src []byte) int {
	n := min(len(dst), len(src))
	for at := 0; at < n; at += Size {
		copyPiece(dst[at:min(at+Size, n)], src[at:])
	}
	return n
}

//go:noinline
func copyPiece(dst, src []byte) { copy(dst, src) }

// Append appends src to dst. dst should have room for it: what it has grown out of is copied at a stretch.
func Append[T []byte | string](dst []byte, src T) []byte {
	for len(src) > Size {
		dst = appendPiece(dst, src[:Size])
		src = src[Size:]
	}
	return append(dst, src...)
}

//go:noinline
func appendPiece[T []byte | string](dst []byte, src T) []byte { return append(dst, src...) }

// Clone copies like [bytes.Clone].
func Clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return Append(Room(len(b)), b)
}

// Room returns an empty slice with room for n bytes that have not been cleared, so that nothing touches them before they are written:
// make would clear, and have the system find, all pages at a stretch. What the room holds may have been anybody's: it must be written
// before it is read.
func Room(n int) []byte {
	if n == 0 {
		return []byte{}
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(b.String()), b.Cap())[:0] // nobody has that text
}

// Equal compares like [bytes.Equal].
func Equal(a, b []byte) bool {
	for len(a) > Size && len(b) > Size {
		if !equalPiece(a[:Size], b[:Size]) {
			return false
		}
		a, b = a[Size:], b[Size:]
	}
	return bytes.Equal(a, b)
}

//go:noinline
func equalPiece(a, b []byte) bool { return bytes.Equal(a, b) }

// IndexByte finds like [bytes.IndexByte].
func IndexByte(b []byte, c byte) int {
	for at := 0; at < len(b); at += Size {
		if i := indexPiece(b[at:min(at+Size, len(b))], c); i >= 0 {
			return at + i
		}
	}
	return -1
}

//go:noinline
func indexPiece(b []byte, c byte) int { return bytes.IndexByte(b, c) }

// SHA256 hashes like [sha256.Sum256].
func SHA256(b []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	_, _ = Write(h, b) // a hash takes everything
	h.Sum(sum[:0])
	return sum
}

// Write writes b to w.
func Write(w io.Writer, b []byte) (int, error) {
	done := 0
	for {
		n, err := w.Write(b[done:min(done+Size, len(b))])
		done += n
		if err != nil || done == len(b) {
			return done, err //nolint:wrapcheck // it is w's
		}
	}
}
