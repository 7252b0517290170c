package worker

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	haveFutex = true

	opWait = 0 // FUTEX_WAIT, across processes
	opWake = 1 // FUTEX_WAKE
)

// futexWait sleeps until somebody wakes word, unless it is not old any more, for at most limit when that is not 0.
func futexWait(word *uint32, old uint32, limit time.Duration) {
	var timeout *unix.Timespec
	if limit > 0 {
		ts := unix.NsecToTimespec(int64(limit))
		timeout = &ts
	}
	// Whatever it returns, the caller looks at the word again.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWait, uintptr(old), uintptr(unsafe.Pointer(timeout)), 0, 0)
}

// futexWake wakes who sleeps on word. It does not block, so that Go's scheduler need not know of it.
func futexWake(word *uint32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWake, 1, 0, 0, 0)
}
