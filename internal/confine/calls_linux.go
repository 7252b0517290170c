package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rule is one system call that fails.
type rule struct {
	nr uint32
	// unlessSelf lets it through when its first argument is this process.
	unlessSelf bool
}

func deny(calls ...uint32) []rule {
	rules := make([]rule, len(calls))
	for i, nr := range calls {
		rules[i].nr = nr
	}
	return rules
}

// denied is what neither a compiler nor a model has a use for: the network, other processes, the kernel's odder parts. Threads
// of a process signal each other by tgkill.
func denied() []rule {
	rules := deny(unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_IO_URING_SETUP, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV,
		unix.SYS_PROCESS_VM_WRITEV, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_MOUNT, unix.SYS_UNSHARE,
		unix.SYS_SETNS, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_PIDFD_OPEN,
		unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO)
	return append(rules, rule{nr: unix.SYS_TGKILL, unlessSelf: true})
}

// filterCalls makes the rules' calls fail with EPERM, for every thread of this process. It needs no_new_privs. Kernels without seccomp
// filter nothing.
func filterCalls(rules []rule) error {
	prog := program(rules)
	if prog == nil {
		return nil
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 && !errors.Is(errno, unix.ENOSYS) && !errors.Is(errno, unix.EINVAL) {
		return fmt.Errorf("system calls: %w", errno)
	}
	if errno == 0 && thread != 0 {
		return fmt.Errorf("system calls: thread %d has a filter of its own", thread)
	}
	return nil
}

// program returns the filter; nil for architectures that it does not know.
func program(rules []rule) []unix.SockFilter {
	arch, ok := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !ok {
		return nil
	}
	const (
		load     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least    = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ret      = unix.BPF_RET | unix.BPF_K
		x32      = 0x40000000 // numbers of another ABI of amd64
		number   = 0          // offsets in struct seccomp_data
		archAt   = 4
		firstArg = 16 // its lower half, on little-endian machines
	)
	refuse := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	prog := []unix.SockFilter{
		{Code: load, K: archAt},
		{Code: equal, K: arch, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: number},
		{Code: least, K: x32, Jf: 1},
		refuse,
	}
	for _, r := range rules {
		if r.unlessSelf {
			prog = append(prog, unix.SockFilter{Code: equal, K: r.nr, Jf: 4},
				unix.SockFilter{Code: load, K: firstArg},
				unix.SockFilter{Code: equal, K: uint32(os.Getpid()), Jt: 1},
				refuse,
				unix.SockFilter{Code: load, K: number})
			continue
		}
		prog = append(prog, unix.SockFilter{Code: equal, K: r.nr, Jf: 1}, refuse)
	}
	return append(prog, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}
