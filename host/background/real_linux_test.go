package background

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/schedclass/schedclasstest"
)

// TestThreadsOfTheSystem sees real threads move there and back.
func TestThreadsOfTheSystem(t *testing.T) {
	s, err := New(Config{Cores: 2})
	if err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	policy := func() int { return schedclasstest.Policies(t, os.Getpid())[unix.Gettid()] }
	normal := policy()
	s.tenants["busy"] = &account{s: s, tenant: "busy"}
	s.judged.Store(int64(time.Since(s.start) + time.Hour)) // it stays as it is put here
	_, task := s.Begin(t.Context(), "busy")
	for range 3 {
		s.tenants["busy"].behind.Store(true)
		task.Look()
		if got := policy(); got != unix.SCHED_IDLE {
			t.Fatalf("a thread that works for a tenant behind has policy %d", got)
		}
		s.tenants["busy"].behind.Store(false)
		task.Look()
		if got := policy(); got != normal {
			t.Fatalf("the thread came back with policy %d, it had %d", got, normal)
		}
	}
	s.tenants["busy"].behind.Store(true)
	task.Look()
	task.End()
	if got := policy(); got != normal {
		t.Errorf("after the end the thread has policy %d, it had %d", got, normal)
	}
}
