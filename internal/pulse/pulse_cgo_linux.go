//go:build cgo

package pulse

/*
#include "pulse.h"

#cgo noescape tdm_beat
#cgo nocallback tdm_beat
*/
import "C"

import (
	"fmt"
	"syscall"
	"time"
)

// period is the time between two beats of a core.
const period = 200 * time.Microsecond

func beat(d time.Duration) error {
	if errno := C.tdm_beat(C.int64_t(d), C.int64_t(period)); errno != 0 {
		return fmt.Errorf("start the threads of the pulse: %w", syscall.Errno(errno))
	}
	return nil
}
