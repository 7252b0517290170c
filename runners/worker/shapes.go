package worker

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/tandem-serve/tandem/runners"
)

const (
	// maxShapes bounds the input shapes whose outputs' shapes are remembered.
	maxShapes = 256
	// maxSpare bounds the room that is made for outputs whose size is not known.
	maxSpare = 1 << 20
)

// shapes remembers what shapes a model's outputs had for inputs of given shapes, so that the next ones can be written in place.
type shapes struct {
	mu    sync.Mutex // mu guards the following
	key   []byte     // of the last find, used again
	known map[string]*guess
	// unsteady: equal shapes have given different ones before.
	unsteady bool
}

// guess is what outputs are expected to be. The nil guess expects nothing. It does not change.
type guess struct {
	shapes   [][]int64
	sizes    []int64
	unsteady bool
}

// exact reports whether outputs can be written in place.
func (g *guess) exact() bool { return g != nil && !g.unsteady }

// spare returns how much room output i may want.
func (g *guess) spare(i int) int64 {
	if g == nil || g.sizes[i] > maxSpare {
		return 0
	}
	return g.sizes[i]
}

func (s *shapes) keyLocked(in []runners.Tensor) {
	s.key = s.key[:0]
	for i := range in {
		s.key = append(s.key, byte(len(in[i].Shape)))
		for _, d := range in[i].Shape {
			s.key = binary.AppendVarint(s.key, d)
		}
	}
}

// find returns what to expect for these inputs.
func (s *shapes) find(in []runners.Tensor) *guess {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyLocked(in)
	return s.known[string(s.key)]
}

// learn takes down what a run gave. When it had been foretold otherwise, nothing is foretold for this model any more.
func (s *shapes) learn(in []runners.Tensor, got []part, varies bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsteady = s.unsteady || varies
	s.keyLocked(in)
	if g := s.known[string(s.key)]; g != nil && g.unsteady == s.unsteady && g.fits(got) {
		return
	}
	if s.known == nil || len(s.known) >= maxShapes {
		s.known = map[string]*guess{}
	}
	g := &guess{unsteady: s.unsteady}
	for i := range got {
		g.shapes = append(g.shapes, slices.Clone(got[i].shape))
		g.sizes = append(g.sizes, got[i].size)
	}
	s.known[string(s.key)] = g
}

// fits reports whether g still foretells what came. A guess of sizes only is good as long as there was room.
func (g *guess) fits(got []part) bool {
	for i := range got {
		if g.unsteady && got[i].size > g.sizes[i] || !g.unsteady && !slices.Equal(g.shapes[i], got[i].shape) {
			return false
		}
	}
	return true
}
