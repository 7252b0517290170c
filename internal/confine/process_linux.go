package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Child prepares a command whose process is to end with the thread that starts it, in a process group of its own. The caller
// keeps that thread (runtime.LockOSThread) as long as the child is to live.
func Child(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// Process leaves this process nothing but r: no new privileges, no core dump, no sockets, no hold on other processes.
// Some of these bind one thread only, so that the process executes itself again from that thread: Process does not return the
// first time, and returns nil at once in the process that it has become.
func Process(r Rights) error {
	if Confined() {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	errs := []error{unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)}
	if r.LowPriority {
		errs = append(errs, unix.Setpriority(unix.PRIO_PROCESS, 0, 19))
	}
	errs = append(errs, setLimits(r)...)
	if err := errors.Join(append(errs, confineFiles(r.Write, r.Read), filterCalls(denied(), 0))...); err != nil {
		return fmt.Errorf("confine the process: %w", err)
	}
	err := unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), stageEnv+"=1"))
	return fmt.Errorf("execute the second stage: %w", err)
}

// NoPrograms keeps every thread of this process from executing another program.
func NoPrograms() error {
	return filterCalls(deny(unix.SYS_EXECVE, unix.SYS_EXECVEAT), unix.SECCOMP_FILTER_FLAG_TSYNC)
}

// Lacks returns what this kernel cannot do, for people; nothing on one that has all.
func Lacks() []string {
	var out []string
	if landlock() == 0 {
		out = append(out, "Landlock, so that files are not kept from children")
	}
	action := uint32(unix.SECCOMP_RET_ERRNO)
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))); errno != 0 || program(nil) == nil {
		out = append(out, "seccomp, so that the network and other processes are not kept from children")
	}
	return out
}

func setLimits(r Rights) []error {
	errs := []error{setLimit(unix.RLIMIT_CORE, 0)}
	for which, n := range map[int]uint64{
		unix.RLIMIT_NOFILE: r.Files, unix.RLIMIT_DATA: r.Memory, unix.RLIMIT_AS: r.Address, unix.RLIMIT_FSIZE: r.FileSize,
		unix.RLIMIT_CPU: r.CPU,
	} {
		if n > 0 {
			errs = append(errs, setLimit(which, n))
		}
	}
	return errs
}

func setLimit(which int, n uint64) error {
	var have unix.Rlimit
	if err := unix.Getrlimit(which, &have); err != nil {
		return fmt.Errorf("limit %d: %w", which, err)
	}
	n = min(n, have.Max)
	if err := unix.Setrlimit(which, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		return fmt.Errorf("limit %d: %w", which, err)
	}
	return nil
}
