//go:build !linux

package confine

import "os/exec"

// Child starts a child as it is: this system's means are not used.
func Child(*exec.Cmd) {}

// Process leaves the process as it is.
func Process(Rights) error { return nil }

// Lacks returns what this system cannot do, for people.
func Lacks() []string {
	return []string{"any means that Tandem uses to keep files, the network and other processes from children"}
}

// NoPrograms does nothing.
func NoPrograms() error { return nil }
