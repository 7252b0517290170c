package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resetMethod says how a memory gets back to its snapshot.
type resetMethod uint8

const (
	// resetScan copies back the pages that PAGEMAP_SCAN reports as private. Linux 6.7.
	resetScan resetMethod = iota
	// resetCopy copies the whole image back, or drops pages when the image is large.
	resetCopy
	// resetDrop drops every page.
	resetDrop
)

// String names the method in logs.
func (r resetMethod) String() string { return [...]string{"scan", "copy", "drop"}[r] }

const (
	// maxCopyImage is the largest image that resetCopy copies: above it, dropping the pages is faster.
	maxCopyImage = 256 << 10
	// maxCopyPages is how many dirty pages resetScan copies back; more are dropped, to give memory back. Copying 4 MiB
	// takes 0.2 ms, faulting them in again 3 ms.
	maxCopyPages = 1024
	// maxRegions is how many runs of dirty pages one scan can report.
	maxRegions = 256
	// keepArena is the part of an arena that stays resident when its dirty pages are not known.
	keepArena = 64 << 10
)

// PAGEMAP_SCAN, from linux/fs.h.
const (
	pagemapScan   = 0xc0606610
	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
	pageIsPFNZero = 1 << 5
)

type scanRegion struct{ start, end, _ uint64 }

type scanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, returned                         uint64
}

// resetter puts memories back to their snapshots. It may be used by many goroutines.
type resetter struct {
	method  resetMethod
	pagemap int // file descriptor, -1 without resetScan
}

// newResetter returns a resetter with the best method that works here, at best the given one.
func newResetter(best resetMethod) *resetter {
	r := &resetter{method: max(best, resetCopy), pagemap: -1}
	if best != resetScan {
		return r
	}
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return r
	}
	r.pagemap, r.method = fd, resetScan
	if r.probe() != nil {
		r.close()
		r.method = resetCopy
	}
	return r
}

func (r *resetter) close() {
	if r.pagemap >= 0 {
		_ = unix.Close(r.pagemap) // opened for reading: nothing can be lost
		r.pagemap = -1
	}
}

// probe makes sure that a scan sees a written page and no other.
func (r *resetter) probe() error {
	m, err := reserve(4*pageSize, purse{})
	if err != nil {
		return err
	}
	defer m.Free()
	m.size = 4 * pageSize
	s, err := newSnapshot(m, 0, 0)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	c, err := s.clone(4*pageSize, purse{})
	if err != nil {
		return err
	}
	defer c.Free()
	c.Reallocate(s.size)
	c.all[pageSize] = 1
	found, err := r.scan(c)
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(c.all))))
	if err == nil && (len(found) != 1 || found[0].start-at != pageSize || found[0].end-at != 2*pageSize) {
		err = fmt.Errorf("page scan reports %d regions for one written page", len(found))
	}
	return err
}

// scan lists the runs of pages that are m's own: written since they were mapped.
func (r *resetter) scan(m *linearMemory) ([]scanRegion, error) {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m.all))))
	sc := m.scratch
	arg := scanArg{
		size: uint64(unsafe.Sizeof(scanArg{})), start: base, end: base + m.size,
		vec: uint64(uintptr(unsafe.Pointer(&sc.regions))), vecLen: maxRegions,
		inverted: pageIsFile | pageIsPFNZero, mask: pageIsFile | pageIsPFNZero, anyOf: pageIsPresent | pageIsSwapped,
		returned: pageIsPresent,
	}
	n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(r.pagemap), pagemapScan, uintptr(unsafe.Pointer(&arg)))
	if errno != 0 {
		return nil, errno
	}
	return sc.regions[:n], nil
}

// scratch is what one reset needs; a memory keeps one. It must be on the heap: the kernel is given its address as a
// number, which Go does not adjust when it moves a stack.
type scratch struct {
	regions [maxRegions]scanRegion
}

//go:noinline
func newScratch() *scratch { return new(scratch) }

// reset puts m back to its snapshot. m must not have grown. dirty is how many bytes at the start of the arena may not be
// zero afterwards; pages is the number of pages that were written outside of it, or -1 when it is not known.
func (r *resetter) reset(m *linearMemory) (dirty uint64, pages int, err error) {
	if r.method == resetScan {
		regions, err := r.scan(m)
		if err == nil && len(regions) < maxRegions {
			return m.restore(regions)
		}
	}
	return r.resetAll(m)
}

// arenaOnly is reset for a guest that keeps its state: it only finds out how much of the arena may not be zero.
func (r *resetter) arenaOnly(m *linearMemory) (dirty uint64, err error) {
	s := m.snap
	if r.method == resetScan {
		regions, err := r.scan(m)
		if err == nil && len(regions) < maxRegions {
			return m.arenaDirty(regions), nil
		}
	}
	dirty = min(s.arenaHi-s.arenaLo, keepArena)
	return dirty, m.drop(s.arenaLo+dirty, s.arenaHi)
}

// arenaDirty returns how far the given pages reach into the arena.
func (m *linearMemory) arenaDirty(regions []scanRegion) (dirty uint64) {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m.all))))
	s := m.snap
	for _, x := range regions {
		if hi := min(x.end-base, s.arenaHi); max(x.start-base, s.arenaLo) < hi {
			dirty = max(dirty, hi-s.arenaLo)
		}
	}
	return dirty
}

// restore copies the given pages back from the snapshot.
func (m *linearMemory) restore(regions []scanRegion) (dirty uint64, pages int, err error) {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m.all))))
	s := m.snap
	for _, x := range regions {
		pages += int(min(x.end-base, s.arenaLo)-min(x.start-base, s.arenaLo)) / pageSize
		pages += int(max(x.end-base, s.arenaHi)-max(x.start-base, s.arenaHi)) / pageSize
	}
	if pages > maxCopyPages {
		return m.arenaDirty(regions), pages, m.dropOutside()
	}
	for _, x := range regions {
		lo, hi := x.start-base, x.end-base
		m.copyBack(lo, min(hi, s.arenaLo))
		m.copyBack(max(lo, s.arenaHi), hi)
	}
	return m.arenaDirty(regions), pages, nil
}

func (m *linearMemory) copyBack(lo, hi uint64) {
	if lo < hi {
		copy(m.all[lo:hi], m.snap.img[lo:hi])
	}
}

// dropOutside gives every page outside of the arena back.
func (m *linearMemory) dropOutside() error {
	if err := m.drop(0, m.snap.arenaLo); err != nil {
		return err
	}
	return m.drop(m.snap.arenaHi, m.size)
}

// resetAll resets without knowing which pages are dirty.
func (r *resetter) resetAll(m *linearMemory) (dirty uint64, pages int, err error) {
	s := m.snap
	if outside := s.size - (s.arenaHi - s.arenaLo); r.method == resetCopy && outside <= maxCopyImage {
		m.copyBack(0, s.arenaLo)
		m.copyBack(s.arenaHi, s.size)
	} else if err := m.dropOutside(); err != nil {
		return 0, -1, err
	}
	dirty = min(s.arenaHi-s.arenaLo, keepArena)
	return dirty, -1, m.drop(s.arenaLo+dirty, s.arenaHi)
}
