// Package confine takes from a child process what it has no use for: memory and time beyond a limit, the network, other
// processes, and files. The compiler of plugins and the workers that run models use it.
//
// Linux has all of it, given a kernel with seccomp and, for files, Landlock; what a kernel lacks is left out. Other systems
// have none of it: there a child is only what keeps a crash away from its parent.
//
// The parent says in [Start] what a child keeps, and the child gives up the rest itself, in [Process], before it looks at anything of
// outside. What Linux takes from one thread only is taken from each thread of the child, so that it need not execute itself again:
// beginning takes a process of this program longer than all else.
package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

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

// rightsEnv hands the rights to the child, as JSON.
const rightsEnv = "TANDEM_RIGHTS"

// Start starts the command's process with no more than r, nil for every right, in a process group of its own; on Linux it ends when this
// process does. How the process ended is told once on the channel, as [exec.Cmd.Wait] says it. The process has to call [Process]; its
// environment is the command's, of this process when that is nil, and r.
func Start(cmd *exec.Cmd, r *Rights) (ended <-chan error, err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	cmd.Env = append(cmd.Environ(), rightsEnv+"="+string(text))
	return start(cmd)
}

// Started reports whether this process was started by [Start].
func Started() bool { return os.Getenv(rightsEnv) != "" }

// Process leaves this process, all its threads, no more than the rights that it was started with, and reports whether those are not
// every right: no new privileges, no core dump, no sockets, no hold on other processes. To be called once, before anything of outside is
// looked at.
func Process() (confined bool, err error) {
	if !Started() {
		return false, errors.New("a server starts this, people do not")
	}
	var r *Rights
	if err := json.Unmarshal([]byte(os.Getenv(rightsEnv)), &r); err != nil {
		return false, fmt.Errorf("rights: %w", err)
	}
	if r == nil {
		return false, nil
	}
	if err := confine(r); err != nil {
		return false, fmt.Errorf("confine the process: %w", err)
	}
	return true, nil
}
