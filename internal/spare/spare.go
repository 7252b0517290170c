package wire

import (
	"math/bits"
	"slices"
	"sync"
	"unsafe"
	"weak"

	"github.com/tandem-serve/tandem/internal/pieces"
)

// Sizes in bytes of the memory that is used again, as powers of two. What is smaller is soon made, what is larger is made anew.
const (
	leastSpare = 20
	mostSpare  = 30
)

// perDoubling is how many sizes there are to each doubling: what is taken is an eighth more than what is needed at most.
const perDoubling = 8

// spares are the memory that is not needed any more, by size.
var spares [perDoubling * (mostSpare - leastSpare)]spare

// spare is memory of one size. It is the collector's to take whenever it looks, so that nothing keeps it.
type spare struct {
	mu   sync.Mutex // guards the following
	free []weak.Pointer[byte]
}

// mostFree is how many of a size are known, taken by the collector or not.
const mostFree = 64

// take returns the start of the memory that was given last, nil when there is none.
func (s *spare) take() *byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, last := range slices.Backward(s.free) {
		s.free = s.free[:i]
		if start := last.Value(); start != nil {
			return start
		}
	}
	return nil
}

func (s *spare) give(start *byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == mostFree {
		s.free = slices.Delete(s.free, 0, 1) // the oldest, which was probably taken
	}
	s.free = append(s.free, weak.Make(start))
}

// spareSize returns the size of the memory that n bytes take, and its place in spares; -1 is none.
func spareSize(n int) (size, place int) {
	if n <= 1<<leastSpare || n > 1<<mostSpare {
		return n, -1
	}
	doubling := bits.Len(uint(n-1)) - 1 // 2^doubling < n <= 2^(doubling+1)
	step := 1 << doubling / perDoubling
	size = (n + step - 1) / step * step
	return size, perDoubling*(doubling-leastSpare) + size/step - perDoubling - 1
}

// room is [pieces.Room], of memory that was let go if there is any.
func room(n int) []byte {
	size, place := spareSize(n)
	if place < 0 {
		return pieces.Room(n)
	}
	if start := spares[place].take(); start != nil {
		return unsafe.Slice(start, size)[:0] //nolint:gosec // G103: it was given with this size
	}
	return pieces.Room(size)
}

// letGo gives back memory that room returned, or memory of such a size, of which nothing may be read or written any more.
func letGo(b []byte) {
	if size, place := spareSize(cap(b)); place >= 0 && size == cap(b) {
		spares[place].give(&b[:1][0])
	}
}
