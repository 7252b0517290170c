package value

import (
	"bytes"
	"testing"
)

func TestPieces(t *testing.T) {
	for _, n := range []int{0, 1, PieceBytes - 1, PieceBytes, PieceBytes + 1, 3*PieceBytes + 5} {
		src := make([]byte, n)
		for i := range src {
			src[i] = byte(i * 7 >> 3)
		}
		for _, room := range []int{0, n / 2, n, n + 9} {
			dst := bytes.Repeat([]byte{0xee}, room)
			want := bytes.Clone(dst)
			if got := Copy(dst, src); got != copy(want, src) || !bytes.Equal(dst, want) {
				t.Errorf("copying %d bytes to %d: %d, or others than copy does", n, room, got)
			}
		}
		if got := Append([]byte("ab"), src); !bytes.Equal(got, append([]byte("ab"), src...)) {
			t.Errorf("appending %d bytes: not those", n)
		}
		if got := Append(nil, string(src)); !bytes.Equal(got, src) {
			t.Errorf("appending a text of %d bytes: not those", n)
		}
	}
}
