//go:build unix

package e2e

import (
	"syscall"
	"testing"
)

// allowConnections raises the limit of open files, for this process and the servers that it starts, and returns how many
// connections it allows, at most want.
func allowConnections(t *testing.T, want int) int {
	t.Helper()
	const others = 1000 // files that are open besides
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	need := uint64(want + others)
	if old.Cur >= need {
		return want
	}
	raised := syscall.Rlimit{Cur: need, Max: max(old.Max, need)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: old.Cur, Max: raised.Max}) })
		return want
	}
	n := int(min(old.Cur, need)) - others
	if n < 100 {
		t.Skipf("the system allows %d open files only", old.Cur)
	}
	t.Logf("the system allows %d open files, so %d connections stand for %d", old.Cur, n, want)
	return n
}
