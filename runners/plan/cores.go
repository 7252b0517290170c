package plan

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Cores returns how many cores a process may use: the cores of its affinity, or less when a quota of its cgroup, or of one above
// it, says so. root is the file system's root; what of it is missing or cannot be read is no limit.
//
// Version 2 has the quota in cpu.max ("150000 100000", or "max 100000"), version 1 in cpu.cfs_quota_us (-1: none) and
// cpu.cfs_period_us.
func Cores(root fs.FS, affinity int) Machine {
	m := Machine{Cores: float64(max(affinity, 1)), Source: plural(max(affinity, 1), "core")}
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // id:controllers:path
		if len(parts) != 3 {
			continue
		}
		read, mounts := quotaV1, []string{"sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"}
		switch {
		case parts[0] == "0" && parts[1] == "":
			read, mounts = quotaV2, []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}
		case !strings.Contains(","+parts[1]+",", ",cpu,"):
			continue
		}
		for _, mount := range mounts {
			m = limited(m, root, mount, parts[2], read)
		}
	}
	return m
}

// limited returns m within the quotas of a cgroup and of those above it. In a container the path may name folders that are not there: its own
// cgroup is then the mount itself.
func limited(m Machine, root fs.FS, mount, group string, read func(fs.FS, string) (float64, bool)) Machine {
	for at := path.Clean("/" + group); ; at = path.Dir(at) {
		if quota, ok := read(root, path.Join(mount, at)); ok && quota < m.Cores {
			m.Cores = quota
			m.Source = fmt.Sprintf("a quota of %s (cgroup %s)", cores(quota), at)
		}
		if at == "/" {
			return m
		}
	}
}

func quotaV2(root fs.FS, dir string) (float64, bool) {
	text, err := fs.ReadFile(root, path.Join(dir, "cpu.max"))
	if err != nil {
		return 0, false
	}
	words := strings.Fields(string(text))
	if len(words) != 2 {
		return 0, false
	}
	return divide(words[0], words[1])
}

func quotaV1(root fs.FS, dir string) (float64, bool) {
	quota, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return 0, false
	}
	period, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0, false
	}
	return divide(strings.TrimSpace(string(quota)), strings.TrimSpace(string(period)))
}

// divide returns quota/period; "max" and what is not above 0 are no quota.
func divide(quota, period string) (float64, bool) {
	q, err := strconv.ParseInt(quota, 10, 64)
	if err != nil || q <= 0 {
		return 0, false
	}
	p, err := strconv.ParseInt(period, 10, 64)
	if err != nil || p <= 0 {
		return 0, false
	}
	return float64(q) / float64(p), true
}
