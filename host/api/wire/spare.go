package wire

import (
	"math/bits"
	"sync"

	"github.com/tandem-serve/tandem/internal/pieces"
)

// Sizes in bytes of the memory that is used again, as powers of two. What is smaller is soon made, what is larger is made anew.
const (
	leastSpare = 20
	mostSpare  = 30
)

// perDoubling is how many sizes there are to each doubling: what is taken is an eighth more than what is needed at most.
const perDoubling = 8

// spares hold memory that is not needed any more, by size. Go's collector empties them in two collections.
var spares [perDoubling * (mostSpare - leastSpare)]sync.Pool

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
	if b, ok := spares[place].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return pieces.Room(size)
}

// letGo gives back memory that room returned, or memory of such a size, of which nothing may be read or written any more.
func letGo(b []byte) {
	if size, place := spareSize(cap(b)); place >= 0 && size == cap(b) {
		spares[place].Put(&b)
	}
}
