package batch

import (
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// Cost is what a Batcher learned of a model's running times, by the shape of its inputs without the rows. It can be kept as
// JSON.
type Cost struct {
	Shapes map[string]Samples `json:"shapes"`
}

// Samples are decayed sums over the runs of one shape, x being rows and y seconds.
type Samples struct {
	N   float64 `json:"n"`
	X   float64 `json:"x"`
	Y   float64 `json:"y"`
	XX  float64 `json:"xx"`
	XY  float64 `json:"xy"`
	Use uint64  `json:"use"` // the higher, the later it was used
}

// Add takes in a run on in, of a model whose requests can be put together, that took so long.
func (c *Cost) Add(in []runners.Tensor, took time.Duration) {
	if c.Shapes == nil {
		c.Shapes = map[string]Samples{}
	}
	shape := shapeOf(in)
	s := c.Shapes[shape]
	s.add(int(in[0].Shape[0]), took)
	c.Shapes[shape] = s
}

// Foretell returns what a run of rows rows of a shape is expected to take, false when too little is known.
func (c *Cost) Foretell(shape string, rows int) (time.Duration, bool) {
	m := newModel(*c)
	_, _, known := m.line(shape)
	return m.foretell(shape, rows), known
}

// ShapeCost is what runs on one shape take.
type ShapeCost struct {
	Shape        string
	Base, PerRow time.Duration
	// Runs is how many runs that rests on; later ones count more.
	Runs float64
}

// ByShape returns what is known of each shape of which enough is known, in no order.
func (c *Cost) ByShape() []ShapeCost {
	m := newModel(*c)
	var lines []ShapeCost
	for shape, s := range m.shapes {
		if base, slope, known := m.line(shape); known {
			lines = append(lines, ShapeCost{shape, seconds(base), seconds(slope), s.N})
		}
	}
	return lines
}

const (
	decay        = 0.98 // what a run counts for after one more: half after 34
	enoughRuns   = 4    // before which nothing is foretold
	maxShapes    = 128
	unknownCost  = 1e-3 // seconds for a row of which nothing is known
	leastRowCost = 1e-9 // so that rows never come for nothing
)

// add takes in a run.
func (s *Samples) add(rows int, took time.Duration) {
	x, y := float64(rows), took.Seconds()
	s.N = s.N*decay + 1
	s.X = s.X*decay + x
	s.Y = s.Y*decay + y
	s.XX = s.XX*decay + x*x
	s.XY = s.XY*decay + x*y
}

// fit returns the line of least squares, seconds = base + slope * rows, neither below zero. It reports false while all runs
// had about the same rows, which says nothing of the slope.
func (s *Samples) fit() (base, slope float64, ok bool) {
	spread := s.N*s.XX - s.X*s.X
	if spread <= 1e-6*s.N*s.XX {
		return 0, 0, false
	}
	slope = (s.N*s.XY - s.X*s.Y) / spread
	base = (s.Y - slope*s.X) / s.N
	switch {
	case slope < 0:
		return s.Y / s.N, 0, true
	case base < 0:
		return 0, s.Y / s.X, true
	}
	return base, slope, true
}

// model is the cost model of one Batcher.
type model struct {
	shapes map[string]*Samples
	uses   uint64
}

func newModel(c Cost) *model {
	m := &model{shapes: map[string]*Samples{}}
	for shape, s := range c.Shapes {
		if len(m.shapes) < maxShapes && s.N > 0 && s.X >= 0 && s.Y >= 0 {
			m.shapes[shape] = &s
			m.uses = max(m.uses, s.Use)
		}
	}
	return m
}

func (m *model) snapshot() Cost {
	c := Cost{Shapes: map[string]Samples{}}
	for shape, s := range m.shapes {
		c.Shapes[shape] = *s
	}
	return c
}

// add takes in a run of rows rows of a shape.
func (m *model) add(shape string, rows int, took time.Duration) {
	s := m.shapes[shape]
	if s == nil {
		if len(m.shapes) >= maxShapes {
			m.forget()
		}
		s = &Samples{}
		m.shapes[shape] = s
	}
	s.add(rows, took)
	m.uses++
	s.Use = m.uses
}

// forget drops the shape that was used longest ago.
func (m *model) forget() {
	oldest, use := "", uint64(0)
	for shape, s := range m.shapes {
		if oldest == "" && use == 0 || s.Use < use {
			oldest, use = shape, s.Use
		}
	}
	delete(m.shapes, oldest)
}

// line returns what runs of a shape take, seconds = base + slope * rows, false when too little is known. As long as nothing is
// known of the slope, more rows count as free: a request is not turned away on a guess.
func (m *model) line(shape string) (base, slope float64, known bool) {
	s := m.shapes[shape]
	if s == nil || s.N < enoughRuns*decay*decay*decay {
		return 0, 0, false
	}
	base, slope, ok := s.fit()
	if !ok {
		return s.Y / s.N, 0, true
	}
	return base, slope, true
}

// foretell returns how long a run of rows rows takes, 0 when too little is known.
func (m *model) foretell(shape string, rows int) time.Duration {
	base, slope, _ := m.line(shape)
	return seconds(base + slope*float64(rows))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// marginal returns the seconds that a tenant is charged for one row of a shape; for an unknown shape the mean of the known
// ones. As long as nothing is known of the slope, a run's time is its rows'.
func (m *model) marginal(shape string) float64 {
	if s := m.shapes[shape]; s != nil {
		return s.perRow()
	}
	if len(m.shapes) == 0 {
		return unknownCost
	}
	sum := 0.0
	for _, s := range m.shapes {
		sum += s.perRow()
	}
	return sum / float64(len(m.shapes))
}

func (s *Samples) perRow() float64 {
	_, slope, ok := s.fit()
	if !ok && s.X > 0 {
		slope = s.Y / s.X
	}
	return max(slope, leastRowCost)
}
