package worker

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// shareMemory returns memory that a child can map too, by its file. Its size is sealed: a child that cut it short could
// otherwise kill its parent.
func shareMemory(size int64) (*os.File, []byte, error) {
	fd, err := unix.MemfdCreate("tandem", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return shareFile(size)
	}
	file := os.NewFile(uintptr(fd), "shared memory")
	if err := file.Truncate(size); err != nil {
		return nil, nil, closeWith(file, err)
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, nil, closeWith(file, fmt.Errorf("seal: %w", err))
	}
	mem, err := mapShared(file, size)
	if err != nil {
		return nil, nil, closeWith(file, err)
	}
	return file, mem, nil
}

// forget gives the memory from offset on back to the system; it reads as zeros afterwards. A system that cannot keeps it.
func forget(_ *os.File, mem []byte, offset int64, size int) {
	_ = unix.Madvise(mem[offset:offset+int64(size)], unix.MADV_REMOVE) // it is only kept when it fails
}
