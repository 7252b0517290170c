//go:build !linux && !darwin

package catalog

import "os"

// lockFile does nothing: there is no advisory lock here.
func lockFile(*os.File) error { return nil }
