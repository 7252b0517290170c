package timeslice

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// passes is how often Set looks for threads that others have started meanwhile.
const passes = 8

// Set sets the slice of all threads of this process, and so of those that they start later and of child processes. Threads
// with a scheduling policy other than the ordinary one are left alone. It may be called at any time. Kernels that know no
// slices accept it.
func Set(slice time.Duration) error {
	for range passes {
		changed, err := setAll(slice)
		if err != nil {
			return fmt.Errorf("set the slices of the process's threads: %w", err)
		}
		if !changed {
			break
		}
	}
	return nil
}

// setAll sets the slices of those threads that are there now, and reports whether one had another.
func setAll(slice time.Duration) (changed bool, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, err //nolint:wrapcheck // Set says what was done
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return false, err //nolint:wrapcheck // Set says what was done
		}
		switch did, err := set(tid, slice); {
		case err == nil:
			changed = changed || did
		case !errors.Is(err, unix.ESRCH): // else it has ended meanwhile
			return false, err
		}
	}
	return changed, nil
}

func set(tid int, slice time.Duration) (changed bool, err error) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return false, err //nolint:wrapcheck // Set says what was done
	}
	if attr.Runtime == uint64(slice) || attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return false, nil
	}
	attr.Runtime = uint64(slice)
	return true, unix.SchedSetAttr(tid, attr, 0) //nolint:wrapcheck // Set says what was done
}
