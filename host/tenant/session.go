package tenant

import (
	"context"
	"sync"
	"time"
)

// session is a context that [Authenticator.Enter] gave and that nobody has left yet.
type session struct {
	principal Principal
	end       context.CancelCauseFunc
	left      chan struct{} // closed by remove

	// Guarded by sessions.mu.
	expires time.Time   // when the credential does; the zero time is never
	timer   *time.Timer // ends the session then, if that was not known when it began
}

// sessions are the open ones.
type sessions struct {
	mu   sync.Mutex // guards the following
	open map[*session]struct{}
}

func (s *sessions) add(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*session]struct{})
	}
	s.open[one] = struct{}{}
}

func (s *sessions) remove(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, one)
	if one.timer != nil {
		one.timer.Stop()
	}
	close(one.left)
}

// expire ends a session when its credential expires, which it does at the given time after wait, unless it ends before.
func (s *sessions) expire(one *session, at time.Time, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.open[one]; !open || !one.expires.IsZero() && !at.Before(one.expires) {
		return
	}
	if one.timer != nil {
		one.timer.Stop()
	}
	one.expires, one.timer = at, time.AfterFunc(wait, func() { one.end(ErrUnauthenticated) })
}

func (s *sessions) all() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*session, 0, len(s.open))
	for one := range s.open {
		all = append(all, one)
	}
	return all
}

// useGrain is how exactly the last use of a key is known; a key that is used all the time is stored this often.
const useGrain = time.Minute

// uses notes when keys were last used.
type uses struct {
	mu      sync.Mutex                  // guards the following
	noted   map[string]time.Time        // by key, within useGrain
	pending map[ID]map[string]time.Time // not stored yet
}

// note costs a look-up for a key that was used within useGrain.
func (u *uses) note(t ID, key string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.noted[key]) < useGrain {
		return
	}
	if u.noted == nil || len(u.noted) > 1<<16 { // revoked keys stay in it; forgetting costs one write for each
		u.noted = make(map[string]time.Time)
	}
	u.noted[key] = now
	if u.pending == nil {
		u.pending = make(map[ID]map[string]time.Time)
	}
	if u.pending[t] == nil {
		u.pending[t] = make(map[string]time.Time)
	}
	u.pending[t][key] = now.UTC()
}

func (u *uses) take() map[ID]map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.pending
	u.pending = nil
	return taken
}
