//go:build linux || darwin

package catalog

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the exclusive lock on f, or fails at once. The lock goes with the file, also when the process dies.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // #nosec G115 -- descriptors are small
}
