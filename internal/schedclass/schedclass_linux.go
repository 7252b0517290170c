package schedclass

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mayReturn tells whether the system will let threads leave the idle class: see setpriority(2) and sched(7).
func mayReturn() error {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 minus the niceness
	if err != nil {
		return fmt.Errorf("getpriority: %w", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NICE, &limit); err == nil && limit.Cur >= uint64(raw) {
		return nil
	}
	var data [2]unix.CapUserData // the version's format has two
	err = unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	if err == nil && data[0].Effective&(1<<unix.CAP_SYS_NICE) != 0 {
		return nil
	}
	return fmt.Errorf("threads could not leave the idle class again: it takes CAP_SYS_NICE, or %d as limit of niceness (ulimit -e); there is %d", raw, limit.Cur)
}

// Thread moves the calling goroutine's thread, to which it must be locked. Its niceness stays.
func Thread(c Class) error { return set(0, c) }

// Process moves all threads of a process, and so those that they start. It needs the process's user, or privileges.
func Process(pid int, c Class) error {
	moved := map[int]bool{}
	for {
		threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		if err != nil {
			return fmt.Errorf("list the threads of process %d: %w", pid, err)
		}
		more := false
		for _, entry := range threads {
			tid, err := strconv.Atoi(entry.Name())
			if err != nil || moved[tid] {
				continue
			}
			if err := set(tid, c); err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
				return err
			}
			moved[tid], more = true, true
		}
		if !more { // what threads that were not moved yet have started was seen
			return nil
		}
	}
}

func set(tid int, c Class) error {
	policy := uintptr(unix.SCHED_NORMAL)
	if c == Idle {
		policy = unix.SCHED_IDLE
	}
	var param struct{ priority int32 } // 0 is the only one that both classes have
	if _, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(tid), policy, uintptr(unsafe.Pointer(&param))); errno != 0 {
		return fmt.Errorf("sched_setscheduler: %w", errno)
	}
	return nil
}
