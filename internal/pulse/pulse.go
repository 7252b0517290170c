// Package pulse has Linux look often, on every core, for who should have it: more often than at its clock's ticks, for as long as somebody
// asks.
//
// A thread of the normal class that wakes on a core that one of the idle class has does not always get it: since Linux 6.6 a thread that has
// had more than its part waits until the others have caught up, which takes microseconds, but the system looks for the next only at a tick
// then, which is 4 ms often. Who is in a call of the system keeps the core until then too. When a thread wakes the system looks; so the
// package has one on each core that does nothing but sleep and wake, of the class of real-time threads where this process may have them.
// docs/adr/025-a-pulse.md has the measurements.
//
// The threads are C's: Go's would stop with the world, which is when they are needed.
package pulse

import "time"

// For has all cores that the process may run on beat each 200 µs until d from now, or until a later time that was asked for before. It is
// cheap, and calls may overlap. The first starts the threads, which stay, and sleep while nobody asks. The error is that they cannot be
// started, or [errors.ErrUnsupported]: it takes Linux, and cgo.
func For(d time.Duration) error { return beat(d) }
