package control

import (
	"context"
	"sync"
)

// pool shares values that are costly to open: one is opened for each key, and closed when its last user has given it
// back.
type pool[K comparable, V any] struct {
	mu sync.Mutex // guards the following
	m  map[K]*shared[V]
}

type shared[V any] struct {
	ready chan struct{} // closed when v or err is set
	users int           // guarded by the pool's mutex
	v     V
	err   error
}

func newPool[K comparable, V any]() *pool[K, V] {
	return &pool[K, V]{m: map[K]*shared[V]{}}
}

// take returns the value for key, opening it when nobody has it, and a function that gives it back, to be called once.
// Callers that come while it is being opened wait for it; a failure is theirs too, and the next caller tries again.
func (p *pool[K, V]) take(ctx context.Context, key K, open func(context.Context) (V, error), closeValue func(V)) (V, func(), error) {
	p.mu.Lock()
	s, found := p.m[key]
	if !found {
		s = &shared[V]{ready: make(chan struct{})}
		p.m[key] = s
	}
	s.users++
	p.mu.Unlock()
	if !found {
		s.v, s.err = open(ctx)
		close(s.ready)
	}
	giveBack := func() { p.giveBack(key, s, closeValue) }
	select {
	case <-s.ready:
	case <-ctx.Done():
		go giveBackWhenReady(s, giveBack)
		var zero V
		return zero, nil, context.Cause(ctx)
	}
	if s.err != nil {
		giveBack()
		var zero V
		return zero, nil, s.err
	}
	return s.v, giveBack, nil
}

// peek returns the value for key when it is open.
func (p *pool[K, V]) peek(key K) (v V, ok bool) {
	p.mu.Lock()
	s := p.m[key]
	p.mu.Unlock()
	if s == nil {
		return v, false
	}
	select {
	case <-s.ready:
		return s.v, s.err == nil
	default:
		return v, false
	}
}

// giveBackWhenReady ends soon: whoever opens the value always closes ready.
func giveBackWhenReady[V any](s *shared[V], giveBack func()) {
	<-s.ready
	giveBack()
}

func (p *pool[K, V]) giveBack(key K, s *shared[V], closeValue func(V)) {
	p.mu.Lock()
	s.users--
	last := s.users == 0 || s.err != nil
	if last && p.m[key] == s {
		delete(p.m, key)
	}
	last = s.users == 0
	p.mu.Unlock()
	if last && s.err == nil {
		closeValue(s.v)
	}
}
