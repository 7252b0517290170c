package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// addressSlack is what a Go process reserves without using it.
const addressSlack = 4 << 30

// confinedEnv marks the second stage of a child.
const confinedEnv = "TANDEM_COMPILE_CONFINED"

// isolateChild starts a child in a process group of its own, which ends with its parent.
func isolateChild(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limitChild puts limits on this process: no new privileges, lowest priority, bounded memory and processor time, no core
// dump, few files, no file larger than the memory, no sockets, and where the kernel has Landlock no writing outside of
// dir. Some of these bind one thread only, so that the process executes itself again from that thread: limitChild does
// not return the first time.
func limitChild(memory, cpu uint64, dir string) error {
	if os.Getenv(confinedEnv) != "" {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	errs := []error{
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		unix.Setpriority(unix.PRIO_PROCESS, 0, 19),
		setLimit(unix.RLIMIT_CORE, 0),
		setLimit(unix.RLIMIT_NOFILE, 64),
	}
	if memory > 0 {
		errs = append(errs, setLimit(unix.RLIMIT_DATA, memory), setLimit(unix.RLIMIT_AS, memory+addressSlack), setLimit(unix.RLIMIT_FSIZE, memory))
	}
	if cpu > 0 {
		errs = append(errs, setLimit(unix.RLIMIT_CPU, cpu))
	}
	if err := errors.Join(append(errs, confine(dir))...); err != nil {
		return err
	}
	err := unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), confinedEnv+"=1"))
	return fmt.Errorf("execute the second stage: %w", err)
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
