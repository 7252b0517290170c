//go:build !linux

package confine

import "os/exec"

// start starts the command as it is: this system's means are not used.
func start(cmd *exec.Cmd) (<-chan error, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the process
	return ended, nil
}

// confine leaves the process as it is.
func confine(*Rights) error { return nil }

// Lacks returns what this system cannot do, for people.
func Lacks() []string {
	return []string{"any means that Tandem uses to keep files, the network and other processes from children"}
}

// NoPrograms does nothing.
func NoPrograms() error { return nil }
