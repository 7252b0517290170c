package engine

import (
	"fmt"
	"sync"
)

// holding is what one request, the graphs in it included, holds of the server's memory: its inputs, what its nodes gave as long as
// somebody has to read it, and its outputs until they are sent. It was let in with an estimate; what turns out to be more is taken
// when it appears, or the request ends. A nil holding counts nothing.
type holding struct {
	door *door
	tell func(delta int64) error // Config.Hold

	mu    sync.Mutex // guards the following
	taken int64      // from the door
	held  int64      // inputs included
	told  int64      // of it: not the inputs
	ended bool
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
		if !h.door.take(lack, 100) {
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
	if !h.ended {
		h.held -= n
		h.told -= n
		_ = h.tell(-n) // giving back cannot fail
	}
}

// end gives everything back. Further calls do nothing.
func (h *holding) end() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return
	}
	h.ended = true
	h.door.give(h.taken)
	_ = h.tell(-h.told) // giving back cannot fail
}
