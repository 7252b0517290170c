package sandbox

import "github.com/tandem-serve/tandem/host/value"

// Bounds of one call.
const maxHandles = 1024

// handles are the host-side values of one call. Handle n is at index n-1; a dropped one is absent.
type handles struct {
	vals  []value.Value
	live  int
	bytes int64
}

func (h *handles) get(n uint32) (*value.Value, bool) {
	if n == 0 || uint64(n) > uint64(len(h.vals)) || h.vals[n-1].IsZero() {
		return nil, false
	}
	return &h.vals[n-1], true
}

// add keeps v. Numbers are not used twice in a call, so a late use of a dropped one is found out.
func (h *handles) add(v value.Value, limit int64) (n uint32, ok bool) {
	if h.live >= maxHandles || len(h.vals) >= 64*maxHandles || v.Size() > limit-h.bytes {
		return 0, false
	}
	h.vals = append(h.vals, v)
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
	*v = value.Value{}
	return true
}

func (h *handles) reset() {
	clear(h.vals)
	*h = handles{vals: h.vals[:0]}
}
