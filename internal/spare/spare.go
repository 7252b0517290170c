// Package spare keeps large memory that is not needed any more for who needs some next, until the collector looks.
package spare

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
	least = 20
	most  = 30
)

// perDoubling is how many sizes there are to each doubling: what is taken is an eighth more than what is needed at most.
const perDoubling = 8

// shelves have the memory that is not needed any more, by size.
var shelves [perDoubling * (most - least)]shelf

// shelf has memory of one size. It is the collector's to take whenever it looks, so that nothing keeps it.
type shelf struct {
	mu   sync.Mutex // guards the following
	free []weak.Pointer[byte]
}

// mostFree is how many of a size are known, taken by the collector or not.
const mostFree = 64

// take returns the start of the memory that was given last, nil when there is none.
func (s *shelf) take() *byte {
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

func (s *shelf) give(start *byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == mostFree {
		s.free = slices.Delete(s.free, 0, 1) // the oldest, which was probably taken
	}
	s.free = append(s.free, weak.Make(start))
}

// sizeFor returns the size of the memory that n bytes take, and its place in shelves; -1 is none.
func sizeFor(n int) (size, place int) {
	if n <= 1<<least || n > 1<<most {
		return n, -1
	}
	doubling := bits.Len(uint(n-1)) - 1 // 2^doubling < n <= 2^(doubling+1)
	step := 1 << doubling / perDoubling
	size = (n + step - 1) / step * step
	return size, perDoubling*(doubling-least) + size/step - perDoubling - 1
}

// shelfOf returns where memory goes when it is let go, nil when it is of no size that is used again.
func shelfOf(b []byte) *shelf {
	size, place := sizeFor(cap(b))
	if place < 0 || size != cap(b) {
		return nil
	}
	return &shelves[place]
}

// Room is [pieces.Room], of memory that was let go if there is any: an eighth larger at most. Whoever gets it may keep it. Calls may
// overlap, as those of [LetGo].
func Room(n int) []byte {
	size, place := sizeFor(n)
	if place < 0 {
		return pieces.Room(n)
	}
	if start := shelves[place].take(); start != nil {
		return unsafe.Slice(start, size)[:0] // it was given with this size
	}
	return pieces.Room(size)
}

// Large tells whether memory is of a size that is used again.
func Large(b []byte) bool { return shelfOf(b) != nil }

// LetGo gives back memory that Room returned, or memory of such a size, of which nothing may be read or written any more. What is not
// [Large] is left to the collector.
func LetGo(b []byte) {
	if s := shelfOf(b); s != nil {
		s.give(&b[:1][0])
	}
}
