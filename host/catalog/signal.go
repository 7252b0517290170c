package catalog

import "sync"

// signal tells any number of waiters that something happened, and counts how often it did.
type signal struct {
	// mu guards the following.
	mu    sync.Mutex
	count int
	ch    chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	close(s.ch)
	s.ch = make(chan struct{})
}

// next returns how often it has been raised, and a channel that is closed when it is raised next.
func (s *signal) next() (int, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count, s.ch
}
