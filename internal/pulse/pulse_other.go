//go:build !linux || !cgo

package pulse

import (
	"errors"
	"time"
)

func beat(time.Duration) error { return errors.ErrUnsupported }
