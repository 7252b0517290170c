package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Threads returns the threads of the server's process and of all processes that it started, 0 where the system does not say.
func (s *Server) Threads() int { return threadsOf(s.PID()) }

func threadsOf(pid int) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)) // a process that has ended has none
	threads := len(tasks)
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(task, "children"))
		if err != nil {
			continue
		}
		for child := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				threads += threadsOf(n)
			}
		}
	}
	return threads
}
