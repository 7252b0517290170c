package background

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// policyOf returns the scheduling policy of the calling thread, as the system has it.
func policyOf(t *testing.T) string {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(unix.Gettid()) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return fields[41-3] // field 41 of proc_pid_stat(5); the first two were cut off
}

// TestThreadsOfTheSystem sees real threads move there and back.
func TestThreadsOfTheSystem(t *testing.T) {
	s, err := New(Config{Cores: 2})
	if err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	normal := policyOf(t)
	s.tenants["busy"] = &account{s: s, tenant: "busy"}
	s.judged.Store(int64(time.Since(s.start) + time.Hour)) // it stays as it is put here
	_, task := s.Begin(t.Context(), "busy")
	for range 3 {
		s.tenants["busy"].behind.Store(true)
		task.Look()
		if got := policyOf(t); got != strconv.Itoa(unix.SCHED_IDLE) {
			t.Fatalf("a thread that works for a tenant behind has policy %s", got)
		}
		s.tenants["busy"].behind.Store(false)
		task.Look()
		if got := policyOf(t); got != normal {
			t.Fatalf("the thread came back with policy %s, it had %s", got, normal)
		}
	}
	s.tenants["busy"].behind.Store(true)
	task.Look()
	task.End()
	if got := policyOf(t); got != normal {
		t.Errorf("after the end the thread has policy %s, it had %s", got, normal)
	}
}
