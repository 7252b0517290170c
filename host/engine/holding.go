package engine

import (
	"fmt"
	"sync"
)

// holding is what one request or one shadow, the graphs in it included, holds of the server's memory: its inputs, what its nodes gave
// as long as somebody has to read it, and its outputs until they are sent. It was let in with an estimate; what turns out to be more
// is taken when it appears, or the request ends. A nil holding counts nothing.
type holding struct {
	door  *door
	share int64                   // of the door that it may fill, in percent
	tell  func(delta int64) error // Config.Hold
	of    *holding                // the request's; nil when it is no shadow's

	mu      sync.Mutex // guards the following
	taken   int64      // from the door
	held    int64      // inputs included
	told    int64      // of it: not the inputs
	sending int64      // of that: on its way out
	shadows int        // that read what the request held, and have not ended
	ended   bool
}

// shadow returns the holding of a shadow of the request, which has inputs bytes from the beginning and is expected to hold expected
// bytes at its peak, or nil when there is no room. Until it has ended the request goes on holding what it held, but for what was on
// its way out.
func (h *holding) shadow(inputs, expected int64) *holding {
	if !h.door.take(expected, shadowShare) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shadows++
	return &holding{door: h.door, share: shadowShare, tell: h.tell, of: h, taken: expected, held: inputs}
}

// send takes n bytes more for what goes out.
func (h *holding) send(n int64) error {
	if err := h.grow(n); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sending += n
	return nil
}

// grow takes n bytes more, before they are copied where that is possible.
func (h *holding) grow(n int64) error {
	if h == nil || n <= 0 {
		return nil
	}
	if err := h.tell(n); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if lack := h.held + n - h.taken; lack > 0 && h.door.limit > 0 {
		if !h.door.take(lack, h.share) {
			_ = h.tell(-n) // giving back cannot fail
			return h.refusal(n)
		}
		h.taken += lack
	}
	h.held += n
	h.told += n
	return nil
}

func (h *holding) refusal(n int64) *Error {
	return &Error{
		Reason: ReasonLimit, RetryAfter: comeBack, Expected: bytesText(h.door.limit) + " at most", Found: bytesText(h.held + n),
		Text: fmt.Sprintf("the request holds %s and would hold %s more, which nobody could know before; requests may hold %s together, of which %s are in use; try again, ask for less at once, or start the server with more --request-memory",
			bytesText(h.held), bytesText(n), bytesText(h.door.limit), bytesText(h.door.inUse())),
	}
}

// shrink gives n bytes back. What was taken from the door stays until the end: the request may need it again.
func (h *holding) shrink(n int64) {
	if h == nil || n <= 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended || h.shadows > 0 {
		h.held -= n
		h.told -= n
		_ = h.tell(-n) // giving back cannot fail
	}
}

// end gives back what no shadow reads. Further calls do nothing.
func (h *holding) end() {
	if h == nil || !h.close() {
		return
	}
	if h.of != nil {
		h.of.shadowEnded()
	}
}

// close reports whether it was the first call.
func (h *holding) close() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	h.ended = true
	if h.shadows > 0 {
		h.keepLocked(h.told - h.sending)
	} else {
		h.keepLocked(0)
	}
	return true
}

// shadowEnded gives the rest back when that was the last shadow of a request that has ended.
func (h *holding) shadowEnded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shadows--; h.shadows == 0 && h.ended {
		h.keepLocked(0)
	}
}

// keepLocked gives back all but n bytes.
func (h *holding) keepLocked(n int64) {
	_ = h.tell(n - h.told) // giving back cannot fail
	h.told = n
	n = min(n, h.taken) // nothing is taken where the door has no limit
	h.door.give(h.taken - n)
	h.taken = n
}
