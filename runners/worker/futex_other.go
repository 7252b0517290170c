//go:build !linux

package worker

import "time"

// haveFutex is false: the socket wakes.
const haveFutex = false

func futexWait(*uint32, uint32, time.Duration) {}

func futexWake(*uint32) {}
