package worker

import (
	"os"
	"path/filepath"

	"github.com/tandem-serve/tandem/internal/confine"
)

// addressSlack is what Go's runtime and ONNX Runtime reserve without using it.
const addressSlack = 16 << 30

// systemFiles are what programs and drivers read.
var systemFiles = [...]string{
	"/usr", "/lib", "/lib64", "/opt", "/sys", "/dev", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys", "/proc/driver",
	"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/vulkan", "/etc/OpenCL", "/etc/nvidia", "/nix/store",
}

// rightsOf returns what a worker may do; nil leaves it everything.
func rightsOf(c *Config, key Key) *confine.Rights {
	if c.Unconfined {
		return nil
	}
	r := &confine.Rights{Memory: uint64(c.Memory), Files: 1024, Read: systemFiles[:], Write: []string{"/dev"}}
	if key.onCPU() {
		// Drivers of accelerators reserve as much address space as they like.
		r.Address = uint64(c.Memory + c.Shared + addressSlack)
		r.Write = nil
	}
	files := []string{c.Library, c.Command[0]}
	files = append(files, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	for i, f := range files {
		if target, err := filepath.EvalSymlinks(f); err == nil {
			f = target
		}
		if i == 0 {
			f = filepath.Dir(f) // with the libraries beside it
		}
		if f != "" {
			r.Read = append(r.Read, f)
		}
	}
	return r
}
