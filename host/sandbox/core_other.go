//go:build !linux

package sandbox

// yieldCore would let other threads of the machine run on this core.
func yieldCore() {}
