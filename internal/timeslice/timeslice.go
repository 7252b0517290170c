// Package timeslice says for how long the system lets a process's threads run before it looks for others that want the core.
//
// Linux gives a thread that has just woken the core at once when its slice ends before that of the thread that has the core
// (EEVDF, sched(7)). A short slice therefore means a prompt start and no less of the cores, a long one a later start and fewer
// interruptions. Kernels before 6.12 and other systems have one length for all; nothing changes there.
package timeslice

import "time"

const (
	// Short is for threads that wait for something most of the time, and should begin at once when it comes.
	Short = 200 * time.Microsecond
	// Long is for threads that compute for long.
	Long = 20 * time.Millisecond
)
