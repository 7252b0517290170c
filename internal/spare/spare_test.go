package spare

import (
	"testing"

	"pgregory.net/rapid"
)

// Memory is as large as what was asked for or an eighth larger, and has a place of its own for each size.
func TestSpareSizes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1<<most+10).Draw(t, "n")
		size, place := sizeFor(n)
		if size < n || size > n+n/perDoubling {
			t.Errorf("%d bytes take %d", n, size)
		}
		if again, same := sizeFor(size); again != size || same != place {
			t.Errorf("%d bytes take %d at %d, and so many %d at %d", n, size, place, again, same)
		}
	})
	last := -1
	for n := 1<<least + 1; n <= 1<<most; {
		size, place := sizeFor(n)
		if place != last+1 {
			t.Fatalf("%d bytes are at %d, after %d", n, place, last)
		}
		last, n = place, size+1
	}
	if last != len(shelves)-1 {
		t.Errorf("the last place is %d of %d", last, len(shelves))
	}
}

// Memory that was let go is who asks next's, and once only.
func TestRoom(t *testing.T) {
	first := Room(3 << 20)
	first = append(first, 1)
	LetGo(first)
	again, other := Room(3<<20-5), Room(3<<20)
	if len(again) != 0 || &again[:1][0] != &first[0] {
		t.Error("it is not used again")
	}
	if &other[:1][0] == &first[0] {
		t.Error("two have it")
	}
	if small := Room(100); Large(small) || cap(small) < 100 {
		t.Errorf("room for 100 bytes has %d, and is large: %v", cap(small), Large(small))
	}
	LetGo(make([]byte, 3<<20+1)) // of no size that is used again
	LetGo(nil)
}
