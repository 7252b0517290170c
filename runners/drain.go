package runners

import "sync"

// Drain lets a runner be closed once nothing uses it any more. Its zero value is open; its methods may be called at the same time.
type Drain struct {
	mu    sync.Mutex // mu guards the following
	users int
	idle  chan struct{} // nil before Close; closed when there are no users
	ended chan struct{} // likewise; closed when what was to be freed has been
}

// Enter begins a use, and reports false after Close was called: nothing has begun then.
func (d *Drain) Enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.idle != nil {
		return false
	}
	d.users++
	return true
}

// Leave ends a use that Enter began.
func (d *Drain) Leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users--; d.users == 0 && d.idle != nil {
		close(d.idle)
	}
}

// Close refuses further uses, waits until those that there are have ended, and calls free. Only the first call's free is called; each
// call returns when it has returned.
func (d *Drain) Close(free func()) {
	d.mu.Lock()
	first := d.idle == nil
	if first {
		d.idle, d.ended = make(chan struct{}), make(chan struct{})
		if d.users == 0 {
			close(d.idle)
		}
	}
	d.mu.Unlock()
	if !first {
		<-d.ended
		return
	}
	<-d.idle
	free()
	close(d.ended)
}
