package worker

import "sync"

// crew is the goroutines that a pool waits for when it is closed. Goroutines of the crew may start others at any time; everybody else
// is refused once it is being waited for, so that none is missed.
type crew struct {
	all sync.WaitGroup

	mu     sync.Mutex // mu guards the following; nothing is called with it held
	closed bool
}

// start runs f in a goroutine and reports true, or false after wait was called: f is not run then.
func (c *crew) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.all.Go(f)
	return true
}

// also runs f in a goroutine. The caller is of the crew itself, so that there is somebody to be waited for.
func (c *crew) also(f func()) { c.all.Go(f) }

// wait refuses others from now on and waits until all have ended.
func (c *crew) wait() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.all.Wait()
}
