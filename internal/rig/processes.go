package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Threads returns the threads of the server's process and of all processes that it started, 0 where the system does not say.
func (s *Server) Threads() int {
	threads := 0
	eachProcess(s.PID(), func(_ int, tasks []string) { threads += len(tasks) })
	return threads
}

// CPU returns the processor time of the server's process and of all processes that it started and that still run, 0 where the
// system does not say. It is exact to hundredths of a second.
func (s *Server) CPU() time.Duration {
	var sum time.Duration
	eachProcess(s.PID(), func(pid int, _ []string) { sum += cpuOf(pid) })
	return sum
}

// Stolen returns for how long a virtual machine's cores wanted to run and their host did not let them, all cores together, since it was
// started; 0 where the system does not say. It is exact to hundredths of a second.
func Stolen() time.Duration {
	const field = 8 // of the line of all cores, after its name: proc_stat(5)
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) <= field {
		return 0
	}
	ticks, _ := strconv.ParseInt(fields[field], 10, 64) // nothing else is there
	return time.Duration(ticks) * clockTick
}

// eachProcess calls visit with a process, with its threads as folders, and so with all processes that it started.
func eachProcess(pid int, visit func(pid int, tasks []string)) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)) // a process that has ended has none
	visit(pid, tasks)
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(task, "children"))
		if err != nil {
			continue
		}
		for child := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				eachProcess(n, visit)
			}
		}
	}
}

// clockTick is the unit of processor times in /proc on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOf returns the processor time of one process, 0 when it has ended.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name may hold spaces; the state is the first field after it
	const user, system = 11, 12
	if len(fields) <= system {
		return 0
	}
	var ticks int64
	for _, field := range [][]byte{fields[user], fields[system]} {
		n, _ := strconv.ParseInt(string(field), 10, 64) // a number on every kernel
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}
