package sandbox

import "golang.org/x/sys/unix"

// yieldCore lets other threads of the machine run on this core: that of a goroutine whose data has just come from the
// network waits for a core just now, and the system would let it wait for as long as a time slice. It is a system call
// that Go knows of, so that a collection that begins meanwhile need not wait for it.
func yieldCore() {
	_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // cannot fail
}
