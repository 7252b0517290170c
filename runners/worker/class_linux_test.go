//go:build cgo

package worker_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/schedclass"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// threadsOf counts the threads of a process by their scheduling policy.
func threadsOf(t *testing.T, pid int) map[string]int {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	count := map[string]int{}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		count[fields[41-3]]++ // field 41 of proc_pid_stat(5); the first two were cut off
	}
	return count
}

// TestReclass has the workers of one tenant, those that are and those that start, scheduled as the tenant is.
func TestReclass(t *testing.T) {
	if err := schedclass.Available(); err != nil {
		t.Skip(err)
	}
	var behind atomic.Bool
	p := newPool(t, func(c *worker.Config) {
		c.Behind = func(tenant string) bool { return tenant == "busy" && behind.Load() }
	})
	busy, other := loadFor(t, p, worker.Key{Tenant: "busy"}, onnxtest.AddSub()), loadFor(t, p, worker.Key{Tenant: "other"}, onnxtest.AddSub())
	normal, idle := fmt.Sprint(unix.SCHED_NORMAL), fmt.Sprint(unix.SCHED_IDLE)
	for range 2 {
		for _, is := range []bool{true, false} {
			behind.Store(is)
			p.Reclass("busy")
			p.Reclass("other")
			p.Reclass("nobody")
			if got := threadsOf(t, busy.PID()); is && got[normal] > 0 || !is && got[idle] > 0 {
				t.Errorf("the tenant is behind: %v; its worker's threads by policy: %v", is, got)
			}
			if got := threadsOf(t, other.PID()); got[idle] > 0 {
				t.Errorf("the other's worker's threads by policy: %v", got)
			}
		}
	}
	behind.Store(true)
	late := loadFor(t, p, worker.Key{Tenant: "busy", Device: "another"}, onnxtest.AddSub())
	if got := threadsOf(t, late.PID()); got[normal] > 0 {
		t.Errorf("a worker that started behind has threads by policy: %v", got)
	}
}
