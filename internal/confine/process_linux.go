package confine

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// start starts the command from a thread that stays as long as the process: Linux ends the process with it.
func start(cmd *exec.Cmd) (<-chan error, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan error, 1)
	go func() { // ends with the process
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return ended, <-started
}

// confine takes from this process what r does not leave it.
func confine(r *Rights) error {
	errs := []error{everyThread("no new privileges", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)}
	if r.LowPriority {
		errs = append(errs, everyThread("priority", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, 19))
	}
	errs = append(errs, setLimits(r)...)
	return errors.Join(append(errs, confineFiles(r.Write, r.Read), filterCalls(denied()))...)
}

// everyThread makes a system call on every thread of this process.
func everyThread(what string, call uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := psx.Syscall6(call, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return fmt.Errorf("%s: %w", what, errno)
	}
	return nil
}

// NoPrograms keeps every thread of this process from executing another program.
func NoPrograms() error {
	return filterCalls(deny(unix.SYS_EXECVE, unix.SYS_EXECVEAT))
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

func setLimits(r *Rights) []error {
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
