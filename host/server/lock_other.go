//go:build !unix

package server

import "os"

// lockDir makes the lock file; this system has no lock that ends with the process, so it keeps nobody out.
func lockDir(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}
