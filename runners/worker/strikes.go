package worker

import (
	"fmt"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// strikes counts the crashes that each model may have caused, by tenant and content. A crash during runs of several models
// counts for each of them in parts.
type strikes struct {
	most   float64
	window time.Duration

	mu sync.Mutex // mu guards the following
	by map[string]strike
}

type strike struct {
	score float64
	last  time.Time
}

func newStrikes(most int, window time.Duration) strikes {
	return strikes{most: float64(most) - 0.01, window: window, by: map[string]strike{}}
}

// add counts a crash with these models about.
func (s *strikes) add(models map[*Model]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for k, v := range s.by {
		if now.Sub(v.last) > s.window {
			delete(s.by, k)
		}
	}
	for m := range models {
		v := s.by[m.identity]
		s.by[m.identity] = strike{v.score + 1/float64(len(models)), now}
	}
}

// check returns why the model is not loaded, nil when it is.
func (s *strikes) check(m *Model) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.by[m.identity]
	left := s.window - time.Since(v.last)
	if v.score < s.most || left <= 0 {
		return nil
	}
	return fmt.Errorf("%w: model %s is in quarantine for another %v, because it made its worker process end %.0f times within %v: "+
		"the server's log says how; push a version that does not, or more memory may help (--worker-memory)",
		runners.ErrModel, m.label, left.Round(time.Second), v.score, s.window)
}

func (s *strikes) quarantined() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, v := range s.by {
		if v.score >= s.most && time.Since(v.last) < s.window {
			n++
		}
	}
	return n
}
