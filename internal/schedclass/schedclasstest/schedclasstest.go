// Package schedclasstest reads for tests how the system schedules threads.
package schedclasstest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// policyField is the policy's place in proc_pid_stat(5), from 1.
const policyField = 41

// Policies returns the scheduling policy of each thread of a process, by the thread's number.
func Policies(tb testing.TB, pid int) map[int]int {
	tb.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		tb.Fatalf("no threads of process %d: %v", pid, err)
	}
	out := map[int]int{}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')'):], []byte(" ")) // a command may have spaces and brackets
		tid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			tb.Fatal(err)
		}
		out[tid], err = strconv.Atoi(string(bytes.Fields(rest)[policyField-3]))
		if err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// Count returns how many threads of a process have a policy.
func Count(tb testing.TB, pid, policy int) int {
	tb.Helper()
	n := 0
	for _, p := range Policies(tb, pid) {
		if p == policy {
			n++
		}
	}
	return n
}
