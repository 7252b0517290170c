package batch

import "time"

// Line is a queue by itself, for tests.
type Line struct{ q queue }

// NewLine returns a queue whose rows cost 1 each.
func NewLine(maxRows int) *Line {
	return &Line{queue{maxRows: maxRows, cost: func(string) float64 { return 1 }}}
}

// Entry is what a test puts into a Line.
type Entry struct {
	Tenant, Shape string
	Priority      Priority
	Rows, ID      int
}

// Add puts e at the end.
func (l *Line) Add(e Entry) (remove func()) {
	m := &member{tenant: e.Tenant, shape: e.Shape, class: e.Priority.class(), rows: e.Rows}
	m.since = time.Unix(0, int64(e.ID)) // carries the number
	l.q.add(m)
	return func() { l.q.remove(m) }
}

// Take returns the next batch.
func (l *Line) Take(maxRows int) []Entry {
	var taken []Entry
	for _, m := range l.q.take(maxRows, true) {
		taken = append(taken, Entry{m.tenant, m.shape, High - Priority(m.class), m.rows, int(m.since.UnixNano())})
	}
	return taken
}

// Counts returns the members, rows, tenants and full shapes of the queue.
func (l *Line) Counts() (members, rows, tenants, full int) {
	return l.q.waiting, l.q.rows, len(l.q.tenants), l.q.full
}

// Fit returns what the samples of runs with so many rows and seconds say.
func Fit(rows []int, took []time.Duration) (base, slope time.Duration, ok bool) {
	var s Samples
	for i := range rows {
		s.add(rows[i], took[i])
	}
	b, r, ok := s.fit()
	return seconds(b), seconds(r), ok
}
