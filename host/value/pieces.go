package value

// PieceBytes is what is copied or cleared at a stretch. Go stops all goroutines for a moment now and then, to collect garbage for
// one, and waits for each such piece: a megabyte of memory that is touched for the first time takes up to a millisecond, a quarter
// of a gigabyte a quarter of a second.
const PieceBytes = 1 << 20

// Copy copies like the builtin, in pieces.
func Copy(dst, src []byte) int {
	n := min(len(dst), len(src))
	for at := 0; at < n; at += PieceBytes {
		copy(dst[at:min(at+PieceBytes, n)], src[at:])
	}
	return n
}

// Append appends src to dst in pieces. dst should have room for it: what it has grown out of is copied at a stretch.
func Append[T []byte | string](dst []byte, src T) []byte {
	for len(src) > PieceBytes {
		dst = append(dst, src[:PieceBytes]...)
		src = src[PieceBytes:]
	}
	return append(dst, src...)
}
