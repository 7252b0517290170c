//go:build !linux

package schedclass

import "errors"

func mayReturn() error { return errors.ErrUnsupported }

// Thread moves the calling goroutine's thread, to which it must be locked.
func Thread(Class) error { return errors.ErrUnsupported }

// Process moves all threads of a process.
func Process(int, Class) error { return errors.ErrUnsupported }
