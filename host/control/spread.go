package control

import (
	"context"
	"errors"
	"sync"

	"github.com/tandem-serve/tandem/runners"
)

// spread is a runners.Runner over several instances of one model: a run goes to the one with fewest.
type spread struct {
	all []runners.Runner

	mu      sync.Mutex // mu guards the following
	running []int
}

// newSpread returns a runner over all; one alone is returned as it is. Instances that have memory for inputs share it: they are
// of one tenant and device.
func newSpread(all []runners.Runner) runners.Runner {
	if len(all) == 1 {
		return all[0]
	}
	s := &spread{all: all, running: make([]int, len(all))}
	if memory, ok := all[0].(runners.Allocator); ok {
		return struct {
			*spread
			runners.Allocator
		}{s, memory}
	}
	return s
}

// Signature returns the model's.
func (s *spread) Signature() runners.Signature { return s.all[0].Signature() }

// Run runs the instance that has least to do.
func (s *spread) Run(ctx context.Context, in, out []runners.Tensor) error {
	s.mu.Lock()
	at := 0
	for i, n := range s.running {
		if n < s.running[at] {
			at = i
		}
	}
	s.running[at]++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running[at]--
	}()
	return s.all[at].Run(ctx, in, out)
}

// Close closes all instances.
func (s *spread) Close() error { return closeRunners(s.all) }

func closeRunners(all []runners.Runner) error {
	var errs []error
	for _, r := range all {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
