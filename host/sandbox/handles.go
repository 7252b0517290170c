package sandbox

import (
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/spare"
)

// Bounds of one call.
const maxHandles = 1024

// handles are the host-side values of one call. Handle n is at index n-1; a dropped one is absent.
type handles struct {
	vals    []hostSide
	live    int
	bytes   int64
	dropped []byte // memory of a small value that was dropped before anybody else was given it, nil when there is none
}

// hostSide is a value on the host's side.
type hostSide struct {
	value.Value
	block []byte // the memory that it stands in, while nobody else was given that; else nil
}

func (h *handles) get(n uint32) (*hostSide, bool) {
	if n == 0 || uint64(n) > uint64(len(h.vals)) || h.vals[n-1].IsZero() {
		return nil, false
	}
	return &h.vals[n-1], true
}

// give returns a value that somebody may keep for longer than the guest does.
func (h *handles) give(n uint32) (*value.Value, bool) {
	v, ok := h.get(n)
	if !ok {
		return nil, false
	}
	v.block = nil
	return &v.Value, true
}

// room tells whether there is some for a value of so many bytes more.
func (h *handles) room(size, limit int64) bool {
	return h.live < maxHandles && len(h.vals) < 64*maxHandles && size <= limit-h.bytes
}

// add keeps v, and the block that it stands in if nobody else has that. Numbers are not used twice in a call, so a late use of a dropped
// one is found out.
func (h *handles) add(v value.Value, block []byte, limit int64) (n uint32, ok bool) {
	if !h.room(v.Size(), limit) {
		return 0, false
	}
	h.vals = append(h.vals, hostSide{Value: v, block: block})
	h.live++
	h.bytes += v.Size()
	return uint32(len(h.vals)), true
}

func (h *handles) drop(n uint32) bool {
	v, ok := h.get(n)
	if !ok {
		return false
	}
	h.live--
	h.bytes -= v.Size()
	if spare.Large(v.block) {
		spare.LetGo(v.block) // it counts no more, so it must not stay
	} else if v.block != nil {
		h.dropped = v.block
	}
	*v = hostSide{}
	return true
}

// block returns an empty block for n bytes: that of a dropped value if it is as large, or a little larger. A guest that makes and drops
// values without end would leave gigabytes a second to the collector otherwise.
func (h *handles) block(n int64) []byte {
	b := h.dropped
	if int64(cap(b)) < n || int64(cap(b)) > n+n/4 {
		return spare.Room(int(n))
	}
	h.dropped = nil
	return b[:0]
}

func (h *handles) reset() {
	clear(h.vals)
	*h = handles{vals: h.vals[:0]}
}
