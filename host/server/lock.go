package server

import "os"

// openLock opens the lock file in dir and makes it where it is missing.
func openLock(dir string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // it was only looked through
	return root.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
}
