//go:build unix

package server

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var errLocked = errors.New("another server is using it")

// lockDir takes the lock file in dir for this process; the system gives it back when the process ends, however it ends.
func lockDir(dir string) (unlock func() error, err error) {
	f, err := openLock(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f.Close, nil
}
