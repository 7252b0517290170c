package plan_test

import (
	"testing"
	"testing/fstest"

	"github.com/tandem-serve/tandem/runners/plan"
)

func TestCores(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
		want  plan.Machine
	}{
		{"nothing", nil, plan.Machine{Cores: 8, Source: "8 cores"}},
		{"v2 without a quota", map[string]string{
			"proc/self/cgroup":                   "0::/user.slice/a\n",
			"sys/fs/cgroup/user.slice/a/cpu.max": "max 100000\n",
		}, plan.Machine{Cores: 8, Source: "8 cores"}},
		{"v2", map[string]string{
			"proc/self/cgroup":        "0::/a\n",
			"sys/fs/cgroup/a/cpu.max": "150000 100000\n",
		}, plan.Machine{Cores: 1.5, Source: "a quota of 1.5 cores (cgroup /a)"}},
		{"v2, the one above has less", map[string]string{
			"proc/self/cgroup":          "0::/a/b/c\n",
			"sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
			"sys/fs/cgroup/a/cpu.max":   "25000 50000\n",
		}, plan.Machine{Cores: 0.5, Source: "a quota of 0.5 cores (cgroup /a)"}},
		{"v2 in a container", map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"sys/fs/cgroup/cpu.max": "200000 100000\n",
		}, plan.Machine{Cores: 2, Source: "a quota of 2 cores (cgroup /)"}},
		{"v2, of a path that the container does not see", map[string]string{
			"proc/self/cgroup":      "0::/kubepods/pod1\n",
			"sys/fs/cgroup/cpu.max": "100000 100000\n",
		}, plan.Machine{Cores: 1, Source: "a quota of 1 core (cgroup /)"}},
		{"v1", map[string]string{
			"proc/self/cgroup": "12:memory:/m\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/s\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us":  "350000\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":           "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us":          "100000\n",
		}, plan.Machine{Cores: 3.5, Source: "a quota of 3.5 cores (cgroup /docker/x)"}},
		{"v1 without a quota", map[string]string{
			"proc/self/cgroup":                    "4:cpu:/\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  "-1\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
		}, plan.Machine{Cores: 8, Source: "8 cores"}},
		{"both, as systemd mounts them", map[string]string{
			"proc/self/cgroup":                    "4:cpu:/\n0::/u\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  "400000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/unified/u/cpu.max":     "300000 100000\n",
		}, plan.Machine{Cores: 3, Source: "a quota of 3 cores (cgroup /u)"}},
		{"more than there are", map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"sys/fs/cgroup/cpu.max": "6400000 100000\n",
		}, plan.Machine{Cores: 8, Source: "8 cores"}},
		{"nonsense", map[string]string{
			"proc/self/cgroup":      "0::\nx\n:::::\n0::/../../etc\n",
			"sys/fs/cgroup/cpu.max": "a b c\n",
		}, plan.Machine{Cores: 8, Source: "8 cores"}},
		{"zero", map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"sys/fs/cgroup/cpu.max": "0 0\n",
		}, plan.Machine{Cores: 8, Source: "8 cores"}},
	} {
		root := fstest.MapFS{}
		for name, text := range test.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := plan.Cores(root, 8); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
	if got := plan.Cores(fstest.MapFS{}, 0); got.Cores != 1 {
		t.Errorf("no cores: got %+v, want 1", got)
	}
}

func FuzzCores(f *testing.F) {
	f.Add("0::/a\n", "150000 100000\n", "", "")
	f.Add("4:cpu:/\n", "", "-1", "100000")
	f.Fuzz(func(t *testing.T, groups, v2, quota, period string) {
		root := fstest.MapFS{
			"proc/self/cgroup":                    {Data: []byte(groups)},
			"sys/fs/cgroup/cpu.max":               {Data: []byte(v2)},
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  {Data: []byte(quota)},
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": {Data: []byte(period)},
		}
		if m := plan.Cores(root, 4); m.Cores <= 0 || m.Cores > 4 || m.Source == "" {
			t.Fatalf("got %+v", m)
		}
	})
}
