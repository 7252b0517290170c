package worker

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// shareFile shares memory by a file without a name, where there is nothing better.
func shareFile(size int64) (*os.File, []byte, error) {
	file, err := os.CreateTemp("", "tandem-worker-")
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(os.Remove(file.Name()), file.Truncate(size)); err != nil {
		return nil, nil, closeWith(file, err)
	}
	mem, err := mapShared(file, size)
	if err != nil {
		return nil, nil, closeWith(file, err)
	}
	return file, mem, nil
}

func mapShared(file *os.File, size int64) ([]byte, error) {
	return unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// mapFile maps a model's file, which nobody writes any more.
func mapFile(file *os.File, size int64) ([]byte, error) {
	return unix.Mmap(int(file.Fd()), 0, int(max(size, 1)), unix.PROT_READ, unix.MAP_SHARED)
}

func unmap(mem []byte) {
	_ = unix.Munmap(mem) // fails only for memory that is none
}

func unshareMemory(file *os.File, mem []byte) {
	unmap(mem)
	_ = file.Close() // nothing is written through it
}

func closeWith(file *os.File, err error) error { return errors.Join(err, file.Close()) }
