package sandbox

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageSize     = 4096
	wasmPageSize = 64 << 10
	pieceSize    = 4 << 20 // of memory that is given back at a stretch
)

// linearMemory is the memory of one guest in an address range of its own, which never moves. It implements wazero's
// LinearMemory. It is not safe for concurrent use, as its guest is not.
type linearMemory struct {
	all     []byte // the reserved range, readable and writable
	size    uint64 // bytes that the guest sees
	snap    *snapshot
	started bool
	grew    bool                     // the guest grew its memory
	refused bool                     // the guest asked for more than the cap
	dirty   uint64                   // bytes at the start of the arena that may not be zero, of a memory that was used before
	kept    func(*linearMemory) bool // asked at the end whether it takes the memory over
	scratch *scratch                 // for resets, of a clone
	purse
}

// reserve returns an empty memory that may grow to limit bytes, as far as the purse goes. It takes the purse over also when it
// fails.
func reserve(limit uint64, p purse) (*linearMemory, error) {
	if limit > math.MaxInt64 {
		p.back(0)
		return nil, errors.New("reserve memory: the limit is too large")
	}
	all, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		p.back(0)
		return nil, fmt.Errorf("reserve %d bytes of memory: %w", limit, err)
	}
	return &linearMemory{all: all, purse: p}, nil
}

// clone returns a memory that starts as s and may grow to limit bytes, as far as the purse goes. It takes the purse over also
// when it fails.
func (s *snapshot) clone(limit uint64, p purse) (*linearMemory, error) {
	m, err := reserve(max(limit, s.size), p)
	if err != nil {
		return nil, err
	}
	m.scratch = newScratch()
	if err := m.attach(s); err != nil {
		m.Free()
		return nil, err
	}
	return m, nil
}

func (m *linearMemory) attach(s *snapshot) error {
	const flags = unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_NORESERVE
	const prot = unix.PROT_READ | unix.PROT_WRITE
	m.snap = s
	base := unsafe.Pointer(unsafe.SliceData(m.all))
	if _, err := unix.MmapPtr(s.fd, 0, base, uintptr(s.size), prot, flags); err != nil {
		return fmt.Errorf("map snapshot: %w", err)
	}
	if s.arenaLo < s.arenaHi { // pages of its own, so that the file stays without them
		_, err := unix.MmapPtr(-1, 0, unsafe.Add(base, s.arenaLo), uintptr(s.arenaHi-s.arenaLo), prot, flags|unix.MAP_ANON)
		if err != nil {
			return fmt.Errorf("map arena: %w", err)
		}
	}
	return nil
}

// Reallocate implements wazero's LinearMemory. A clone is as large as its snapshot from the start.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if !m.started {
		m.started = true
		if m.snap != nil {
			size = max(size, m.snap.size)
		}
	} else if size > m.size {
		m.grew = true
	}
	if size > uint64(len(m.all)) || !m.pay(size, m.image()) {
		m.refused = true
		return nil
	}
	m.size = size
	return m.all[:size:size]
}

// image returns how much of the memory is its snapshot's.
func (m *linearMemory) image() uint64 {
	if m.snap == nil {
		return 0
	}
	return m.snap.size
}

// Free implements wazero's LinearMemory: it unmaps. wazero calls it when the module is closed, which must not happen while
// the guest runs.
func (m *linearMemory) Free() {
	if m.all == nil {
		return
	}
	if kept := m.kept; kept != nil {
		m.kept = nil
		if kept(m) {
			return
		}
	}
	m.empty()
	// Unmapping a whole range that was mapped cannot fail.
	_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(m.all)), uintptr(len(m.all)))
	m.all = nil
	m.back(0)
}

// recycle makes a memory that was used like a new clone of its snapshot. What it keeps are the pages.
func (m *linearMemory) recycle(r *resetter) error {
	if err := m.drop(m.snap.size, m.size); err != nil {
		return err
	}
	m.size = min(m.size, m.snap.size)
	m.back(m.snap.size)
	m.lack = nil
	dirty, _, err := r.reset(m)
	m.dirty, m.started, m.grew, m.refused = dirty, false, false, false
	return err
}

// empty gives the pages of a large memory back piece by piece. To unmap it with its pages would hold the lock of the process's memory map for
// as long as it takes, 60 ms for a gigabyte, and longer when the thread has to wait for a core meanwhile.
func (m *linearMemory) empty() {
	for lo := uint64(0); m.size > pieceSize && lo < m.size; lo += pieceSize {
		_ = m.drop(lo, min(lo+pieceSize, m.size)) // it is unmapped anyway
	}
}

// drop gives pages back; they read as the snapshot again, or as zero outside of it.
func (m *linearMemory) drop(lo, hi uint64) error {
	if lo >= hi {
		return nil
	}
	if err := unix.Madvise(m.all[lo:hi], unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("drop pages: %w", err)
	}
	return nil
}

// zero clears whole pages of a memory that is not a clone.
func (m *linearMemory) zero(lo, hi uint64) error { return m.drop(lo, hi) }

// snapshot is an immutable image of a linear memory.
type snapshot struct {
	fd               int
	size             uint64
	held             uint64 // bytes of pages that are not zero
	img              []byte // read-only mapping of the image
	arenaLo, arenaHi uint64 // whole pages that are not part of the image
}

// snapshotsWork says whether this system can take snapshots.
const snapshotsWork = true

// newSnapshot keeps the content of m but for the arena, whose whole pages read as zero in every clone.
func newSnapshot(m *linearMemory, arena, arenaLen uint64) (*snapshot, error) {
	fd, err := unix.MemfdCreate("tandem-plugin", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create snapshot: %w", err)
	}
	s := &snapshot{fd: fd, size: m.size}
	s.arenaLo = (arena + pageSize - 1) &^ (pageSize - 1)
	s.arenaHi = max(s.arenaLo, (arena+arenaLen)&^(pageSize-1))
	if err := s.fill(m.all[:m.size]); err != nil {
		return nil, errors.Join(fmt.Errorf("write snapshot: %w", err), unix.Close(fd))
	}
	return s, nil
}

// fill writes the pages that are not zero; the others stay holes.
func (s *snapshot) fill(mem []byte) error {
	if err := unix.Ftruncate(s.fd, int64(s.size)); err != nil {
		return err
	}
	var zero [pageSize]byte
	for off := uint64(0); off < s.size; off += pageSize {
		if off == s.arenaLo && s.arenaLo < s.arenaHi {
			off = s.arenaHi - pageSize
			continue
		}
		page := mem[off : off+pageSize]
		if string(page) == string(zero[:]) {
			continue
		}
		if _, err := unix.Pwrite(s.fd, page, int64(off)); err != nil {
			return err
		}
		s.held += pageSize
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(s.fd), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	img, err := unix.Mmap(s.fd, 0, int(s.size), unix.PROT_READ, unix.MAP_SHARED)
	s.img = img
	return err
}

// close frees the image. Clones must be gone: their reset reads it.
func (s *snapshot) close() error {
	return errors.Join(unix.Munmap(s.img), unix.Close(s.fd))
}
