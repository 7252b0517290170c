package confine

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Calls makes every call that a confined process is denied, in a way that does no harm when it is not, and returns what came of it.
func Calls() map[string]syscall.Errno {
	names := map[uint32]string{unix.SYS_SOCKET: "socket"}
	args := map[uint32][3]uintptr{unix.SYS_SOCKET: {unix.AF_UNIX, unix.SOCK_STREAM, 0}}
	out := map[string]syscall.Errno{}
	for _, r := range denied() {
		if r.unlessSelf {
			continue // the test signals processes itself
		}
		name := names[r.nr]
		if name == "" {
			name = "call " + strconv.Itoa(int(r.nr))
		}
		a, ok := args[r.nr]
		if !ok {
			for i := range a {
				a[i] = ^uintptr(0) // no process, no file, no address
			}
		}
		switch r.nr {
		case unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO:
			a = [3]uintptr{uintptr(os.Getpid()), 0, 0} // no signal
		case unix.SYS_UNSHARE:
			a = [3]uintptr{}
		}
		_, _, errno := unix.Syscall(uintptr(r.nr), a[0], a[1], a[2])
		out[name] = errno
	}
	return out
}

// DenyLandlock makes this process one of a kernel that has no Landlock, as far as it can tell.
func DenyLandlock() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return filterCalls(deny(unix.SYS_LANDLOCK_CREATE_RULESET))
}
