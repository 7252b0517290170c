package server

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// assumedMemory is taken where the system does not say how much memory there is.
const assumedMemory = 4 << 30

// machineMemory returns the bytes of memory that this process may use: the machine's, or what its control group allows.
func machineMemory() int64 {
	total := int64(assumedMemory)
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if n, ok := memTotal(b); ok {
			total = n
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(file); err == nil { //nolint:gosec // the list above names them
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
				total = min(total, n)
			}
		}
	}
	return total
}

// memTotal reads the line "MemTotal: n kB" of /proc/meminfo.
func memTotal(meminfo []byte) (int64, bool) {
	lines := bufio.NewScanner(bytes.NewReader(meminfo))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			return kb << 10, err == nil && kb > 0
		}
	}
	return 0, false
}
