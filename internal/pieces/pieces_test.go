package pieces

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

// pattern returns n bytes, of which no two pieces are equal.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
		if i%Size == 0 {
			b[i] = byte(1 + i/Size)
		}
	}
	return b
}

var lengths = []int{0, 1, Size - 1, Size, Size + 1, 3*Size + 5}

func TestPieces(t *testing.T) {
	for _, n := range lengths {
		src := pattern(n)
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
		if got := Clone(src); !bytes.Equal(got, src) || n > 0 && &got[0] == &src[0] {
			t.Errorf("cloning %d bytes: not those, or the same", n)
		}
		if got := Room(n); got == nil || len(got) != 0 || cap(got) < n {
			t.Errorf("room for %d bytes has %d and room for %d", n, len(got), cap(got))
		}
		if SHA256(src) != sha256.Sum256(src) {
			t.Errorf("the hash of %d bytes is another", n)
		}
		var to bytes.Buffer
		if got, err := Write(&to, src); got != n || err != nil || !bytes.Equal(to.Bytes(), src) {
			t.Errorf("writing %d bytes: %d, %v", n, got, err)
		}
	}
	if Clone(nil) != nil {
		t.Error("nothing was cloned to something")
	}
}

func TestEqualAndIndexByte(t *testing.T) {
	for _, n := range lengths {
		a := pattern(n)
		if b := bytes.Clone(a); !Equal(a, b) || Equal(a, append(b, 0)) || Equal(append(b, 0), a) {
			t.Errorf("%d bytes: equal to more than itself, or not to itself", n)
		}
		for _, at := range []int{0, n / 2, n - 1} {
			if at < 0 || at >= n {
				continue
			}
			b := bytes.Clone(a)
			b[at]++
			if Equal(a, b) {
				t.Errorf("%d bytes are equal although byte %d differs", n, at)
			}
			zeros := make([]byte, n)
			zeros[at] = 1
			if got := IndexByte(zeros, 1); got != at {
				t.Errorf("byte %d of %d is found at %d", at, n, got)
			}
		}
		if got := IndexByte(make([]byte, n), 1); got != -1 {
			t.Errorf("what is not in %d bytes is found at %d", n, got)
		}
	}
}

// short takes a few bytes and then no more.
type short struct{ room int }

var errFull = errors.New("full")

func (s *short) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestWriteStopsAtErrors(t *testing.T) {
	n, err := Write(&short{Size + 7}, pattern(3*Size))
	if n != Size+7 || !errors.Is(err, errFull) {
		t.Errorf("%d, %v", n, err)
	}
}
