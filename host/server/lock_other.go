//go:build !unix

package server

// lockDir makes the lock file in dir; this system has no lock that ends with the process, so it keeps nobody out.
func lockDir(dir string) (unlock func() error, err error) {
	f, err := openLock(dir)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}
