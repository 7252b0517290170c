//go:build !linux

package sandbox

import "errors"

// snapshotsWork says whether this system can take snapshots. Without them every call gets a fresh instance.
const snapshotsWork = false

var errNoSnapshots = errors.New("snapshots need Linux")

// linearMemory is the memory of one guest. It implements wazero's LinearMemory.
type linearMemory struct {
	buf     []byte
	size    uint64
	limit   uint64
	started bool
	grew    bool
	refused bool
	dirty   uint64
	kept    func(*linearMemory) bool
	purse
}

func reserve(limit uint64, p purse) (*linearMemory, error) {
	return &linearMemory{limit: limit, purse: p}, nil
}

// Reallocate implements wazero's LinearMemory.
func (m *linearMemory) Reallocate(size uint64) []byte {
	m.grew = m.grew || m.started
	m.started = true
	if size > m.limit || !m.pay(size, 0) {
		m.refused = true
		return nil
	}
	if size > uint64(cap(m.buf)) {
		next := make([]byte, size, min(m.limit, size+size/2))
		copy(next, m.buf)
		m.buf = next
	}
	m.buf = m.buf[:size]
	m.size = size
	return m.buf
}

// Free implements wazero's LinearMemory.
func (m *linearMemory) Free() {
	m.buf, m.size = nil, 0
	m.back(0)
}

func (m *linearMemory) zero(lo, hi uint64) error {
	clear(m.buf[lo:hi])
	return nil
}

func (m *linearMemory) recycle(*resetter) error { return errNoSnapshots }

type snapshot struct{ size, held uint64 }

func newSnapshot(*linearMemory, uint64, uint64) (*snapshot, error) { return nil, errNoSnapshots }

func (s *snapshot) clone(uint64, purse) (*linearMemory, error) { return nil, errNoSnapshots }

func (s *snapshot) close() error { return nil }

type resetMethod uint8

const resetScan resetMethod = 0

// String names the method in logs.
func (r resetMethod) String() string { return "none" }

type resetter struct{ method resetMethod }

func newResetter(best resetMethod) *resetter { return &resetter{method: best} }

func (r *resetter) close() {}

func (r *resetter) arenaOnly(*linearMemory) (dirty uint64, err error) {
	return 0, errNoSnapshots
}

func (r *resetter) reset(*linearMemory) (dirty uint64, pages int, err error) {
	return 0, -1, errNoSnapshots
}
