// Package confine takes from a child process what it has no use for: memory and time beyond a limit, the network, other
// processes, and files. The compiler of plugins and the workers that run models use it.
//
// Linux has all of it, given a kernel with seccomp and, for files, Landlock; what a kernel lacks is left out. Other systems
// have none of it: there a child is only what keeps a crash away from its parent.
package confine

import "os"

// Rights is what a process keeps. The zero value of a limit leaves it as it is.
type Rights struct {
	// Memory bounds the private memory, Address the address space and FileSize every file written, in bytes.
	Memory, Address, FileSize uint64
	// CPU bounds the processor time, in seconds.
	CPU uint64
	// Files bounds the open files.
	Files uint64
	// LowPriority runs the process when nothing else wants the processor.
	LowPriority bool
	// Write lists the folders below which it may write.
	Write []string
	// Read lists the files and folders below which it may read and run; those that do not exist are left out. Nil: anywhere.
	Read []string
}

// stageEnv marks the second stage of a confined process.
const stageEnv = "TANDEM_CONFINED"

// Confined reports whether this process went through [Process] already.
func Confined() bool { return os.Getenv(stageEnv) != "" }
