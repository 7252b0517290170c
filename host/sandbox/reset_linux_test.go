package sandbox

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// testMemory returns a memory with some content as a snapshot, with an arena of two pages in its middle.
func testMemory(t *testing.T, size, arena uint64) *snapshot {
	t.Helper()
	m, err := reserve(size, purse{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	m.Reallocate(size)
	for i := uint64(0); i < size; i += 3 * pageSize {
		m.all[i+i/pageSize%pageSize] = byte(i/pageSize) | 1
	}
	s, err := newSnapshot(m, arena, 2*pageSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Whatever a guest writes, a reset brings the image back, and the arena is clear beyond what is reported as dirty.
func TestResetProperty(t *testing.T) {
	for _, method := range []resetMethod{resetScan, resetCopy, resetDrop} {
		for _, pages := range []uint64{16, 64, 2048} {
			t.Run(method.String(), func(t *testing.T) { testReset(t, method, pages*pageSize) })
		}
	}
}

func testReset(t *testing.T, method resetMethod, size uint64) {
	t.Helper()
	r := newResetter(method)
	defer r.close()
	if r.method != method {
		t.Skipf("this kernel resets by %s", r.method)
	}
	s := testMemory(t, size, 4*pageSize)
	m, err := s.clone(2*size, purse{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	m.Reallocate(pageSize)
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(0, 20).Draw(t, "writes") {
			at := rapid.Uint64Range(0, size-1).Draw(t, "at")
			n := min(rapid.SampledFrom([]uint64{1, 8, 5000, 100_000}).Draw(t, "n"), size-at)
			for i := range n {
				m.all[at+i] = 0xEE
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "scatter") == 0 { // more runs of pages than one scan reports
			for at := uint64(0); at < size; at += 2 * pageSize {
				m.all[at] = 0xEE
			}
		}
		dirty, _, err := r.reset(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.all[:s.arenaLo], s.img[:s.arenaLo]) || !bytes.Equal(m.all[s.arenaHi:size], s.img[s.arenaHi:]) {
			t.Fatal("memory differs from its image")
		}
		if i := bytes.IndexByte(m.all[s.arenaLo+dirty:s.arenaHi], 0xEE); i >= 0 {
			t.Fatalf("byte %d of the arena is not clear, %d are reported as dirty", i+int(dirty), dirty)
		}
	})
}

// A reset leaves the pages that a guest writes anyway where they are, so that the next call does not fault them in again.
func TestResetKeepsPages(t *testing.T) {
	r := newResetter(resetScan)
	defer r.close()
	if r.method != resetScan {
		t.Skipf("this kernel resets by %s", r.method)
	}
	s := testMemory(t, 64*pageSize, 0)
	m, err := s.clone(s.size, purse{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	m.Reallocate(0)
	m.all[10*pageSize] = 1
	for range 3 {
		_, pages, err := r.reset(m)
		if err != nil || pages != 1 {
			t.Errorf("got %d pages, %v, want 1", pages, err)
		}
	}
}

func BenchmarkReset(b *testing.B) {
	for _, method := range []resetMethod{resetScan, resetCopy, resetDrop} {
		b.Run(method.String(), func(b *testing.B) {
			r := newResetter(method)
			defer r.close()
			m, err := reserve(128<<10, purse{})
			if err != nil {
				b.Fatal(err)
			}
			m.Reallocate(128 << 10)
			s, err := newSnapshot(m, 64<<10, 64<<10)
			if err != nil {
				b.Fatal(err)
			}
			m.Free()
			c, err := s.clone(s.size, purse{})
			if err != nil {
				b.Fatal(err)
			}
			c.Reallocate(0)
			for b.Loop() {
				c.all[0], c.all[5*pageSize], c.all[6*pageSize] = 1, 1, 1
				if _, _, err := r.reset(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
