package worker

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// A slot is where one run at a time is called. Its words lie in shared memory: the host writes call and waits for reply, the
// worker the other way round. Each side's words have a cache line of their own.
const (
	maxSlots  = 64
	slotBytes = 192

	callWord     = 0  // number of the call; the worker waits for it to change
	workerSleeps = 4  // the worker waits by the futex
	messageAt    = 8  // u64: offset of the message
	messageSize  = 16 // u32: its room in bytes
	replyWord    = 64 // number of the call that was answered; the host waits for it to change
	hostSleeps   = 128

	// prodded is set in the reply word by the host itself, to wake whoever waits for it.
	prodded = 1 << 31
)

// slots are the words of all slots.
type slots struct {
	base unsafe.Pointer // of memory that stays mapped
}

func slotsAt(mem []byte) slots { return slots{unsafe.Pointer(unsafe.SliceData(mem))} }

func (s slots) word(slot, at uint32) *uint32 {
	return (*uint32)(unsafe.Add(s.base, slot*slotBytes+at))
}

func (s slots) message(slot uint32) *uint64 {
	return (*uint64)(unsafe.Add(s.base, slot*slotBytes+messageAt))
}

// bell tells the other side that a word changed, and waits for this side's.
type bell interface {
	// ring tells the other side that the slot's word changed.
	ring(slot uint32)
	// wait returns when the slot's word is not old any more, and after limit, when that is not 0; it may return early.
	wait(slot, old uint32, limit time.Duration)
	// wake makes a wait of this side look again, after its word changed.
	wake(slot uint32)
}

// Waits shorter than this, as they were of late, are spent looking at the word instead of sleeping.
const spinMost = 20 * time.Microsecond

// futexBell uses futexes in the shared memory.
type futexBell struct {
	slots
	mine, mySleep, theirs, theirSleep uint32
	spins                             bool
	waited                            [maxSlots]time.Duration // of late; each is its waiter's
}

func newFutexBell(s slots, host bool) *futexBell {
	b := &futexBell{slots: s, mine: callWord, mySleep: workerSleeps, theirs: replyWord, theirSleep: hostSleeps, spins: runtime.NumCPU() > 1}
	if host {
		b.mine, b.mySleep, b.theirs, b.theirSleep = replyWord, hostSleeps, callWord, workerSleeps
	}
	return b
}

func (b *futexBell) ring(slot uint32) {
	if atomic.LoadUint32(b.word(slot, b.theirSleep)) != 0 {
		futexWake(b.word(slot, b.theirs))
	}
}

func (b *futexBell) wake(slot uint32) { futexWake(b.word(slot, b.mine)) }

func (b *futexBell) wait(slot, old uint32, limit time.Duration) {
	begin := time.Now()
	word, late := b.word(slot, b.mine), &b.waited[slot]
	if !b.spins || *late > spinMost || !spin(word, old, begin) {
		sleeps := b.word(slot, b.mySleep)
		atomic.StoreUint32(sleeps, 1)
		if atomic.LoadUint32(word) == old {
			futexWait(word, old, limit)
		}
		atomic.StoreUint32(sleeps, 0)
	}
	*late += (min(time.Since(begin), 8*spinMost) - *late) / 8
}

// spin looks at the word for a while and reports whether it changed.
func spin(word *uint32, old uint32, begin time.Time) bool {
	const looks = 200
	for time.Since(begin) < 2*spinMost {
		for range looks {
			if atomic.LoadUint32(word) != old {
				return true
			}
		}
	}
	return false
}

// socketBell sends frames, where there are no futexes.
type socketBell struct {
	slots
	mine uint32
	link *link
	rung [maxSlots]chan struct{}
}

func newSocketBell(s slots, l *link, host bool) *socketBell {
	b := &socketBell{slots: s, mine: callWord, link: l}
	if host {
		b.mine = replyWord
	}
	for i := range b.rung {
		b.rung[i] = make(chan struct{}, 1)
	}
	return b
}

func (b *socketBell) ring(slot uint32) {
	_ = b.link.send(frame{kind: kindRing, a: slot}, nil) // when it fails the other side is gone, and its waiters are told
}

func (b *socketBell) wake(slot uint32) {
	select {
	case b.rung[slot%maxSlots] <- struct{}{}:
	default:
	}
}

func (b *socketBell) wait(slot, old uint32, limit time.Duration) {
	if atomic.LoadUint32(b.word(slot, b.mine)) != old {
		return
	}
	if limit == 0 {
		<-b.rung[slot]
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-b.rung[slot]:
	case <-timer.C:
	}
}
