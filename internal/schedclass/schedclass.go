// Package schedclass moves threads between the system's normal scheduling class and its idle class, whose threads run only where no
// normal one wants to. Linux has that (SCHED_IDLE); elsewhere all fails with [errors.ErrUnsupported].
//
// Every process may have its threads idle. To have them normal again it needs the right to their niceness: CAP_SYS_NICE, or a limit
// RLIMIT_NICE of 20 minus the niceness at least. [Available] says whether this one has it.
package schedclass

import (
	"errors"
	"runtime"
)

// Class is how the system schedules a thread.
type Class int

// Classes of threads.
const (
	Normal Class = iota
	Idle
)

// Available tells whether threads can be moved to the idle class and back. The error says why not, and what would help.
func Available() error {
	if err := mayReturn(); err != nil {
		return err
	}
	came := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // a thread that cannot come back after all ends with this goroutine
		err := errors.Join(Thread(Idle), Thread(Normal))
		if err == nil {
			runtime.UnlockOSThread()
		}
		came <- err
	}()
	return <-came
}
