//go:build !linux && !darwin

package blob

import (
	"errors"
	"io"
	"math"
	"syscall"
)

// mapFile reads the file: there is no mapping here.
func mapFile(f File, size int64) ([]byte, func() error, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, nil, err
	}
	return data, func() error { return nil }, nil
}

// lockFile does nothing: there is no advisory lock here.
func lockFile(File) error { return nil }

// freeBytes does not know, so the disk being full shows only when a write fails.
func freeBytes(string) (int64, error) { return math.MaxInt64, nil }

func isNoSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }
