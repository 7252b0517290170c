package plan

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// Measured is what a warm-up saw of a model on this machine. It can be kept as JSON.
type Measured struct {
	// Threads has the time of one run of one row by the threads that worked on it.
	Threads []ThreadsTook `json:"threads,omitempty"`
	// Pairs is how many pairs of runs, on one thread and on several, were compared, and Gain what the several gained in three quarters
	// of the pairs at least: 1 means that they took half of the time. Zero pairs: only Threads is known.
	Pairs int     `json:"pairs,omitempty"`
	Gain  float64 `json:"gain,omitempty"`
	// Busy tells that the machine had other things to do: equal runs took different times.
	Busy bool `json:"busy,omitempty"`
	// At is when it was measured, Tries how often so far in a row with the machine busy.
	At    time.Time `json:"at,omitzero"`
	Tries int       `json:"tries,omitempty"`
	// Rows has the time of one run by its rows.
	Rows []RowsTook `json:"rows,omitempty"`
}

// ThreadsTook is the time of one run with so many threads.
type ThreadsTook struct {
	Threads int           `json:"threads"`
	Took    time.Duration `json:"took"`
}

// RowsTook is the time of one run of so many rows.
type RowsTook struct {
	Rows int           `json:"rows"`
	Took time.Duration `json:"took"`
}

// at returns the time with so many threads, 0 when it was not measured.
func (m Measured) at(threads int) time.Duration {
	for _, t := range m.Threads {
		if t.Threads == threads {
			return t.Took
		}
	}
	return 0
}

// tolerance is how much less than the best rows a second still counts as good. Measurements vary, and rows that do share a run seldom
// do harm: only what is clearly worse is avoided.
const tolerance = 0.5

// maxRows returns the most rows whose throughput is not much worse than the best.
func (m Measured) maxRows() (rows int, why string) {
	best := 0.0
	for _, r := range m.Rows {
		best = max(best, r.perSecond())
	}
	if best == 0 || len(m.Rows) < 2 {
		return DefaultMaxRows, "not measured"
	}
	byRows := slices.SortedFunc(slices.Values(m.Rows), func(a, b RowsTook) int { return cmp.Compare(a.Rows, b.Rows) })
	last := byRows[len(byRows)-1]
	if last.perSecond() >= tolerance*best {
		return max(last.Rows, DefaultMaxRows), fmt.Sprintf("measured up to %d rows, which did well", last.Rows)
	}
	for _, r := range slices.Backward(byRows) {
		if r.perSecond() >= tolerance*best {
			rows = max(rows, r.Rows)
		}
	}
	return rows, fmt.Sprintf("measured %.3g rows/s with %d, %.3g with %d", best, rows, last.perSecond(), last.Rows)
}

func (r RowsTook) perSecond() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Rows) / r.Took.Seconds()
}

// Stale reports whether the model is to be measured again: the machine was busy when it was, and that is ten minutes ago, or twice as
// long for each time that it was busy again.
func (m Measured) Stale(now time.Time) bool {
	return m.Busy && now.Sub(m.At) >= 10*time.Minute<<min(max(m.Tries-1, 0), 10)
}

// Bounds of a measurement.
const (
	// enoughTime ends the measurement of one point early.
	enoughTime = 25 * time.Millisecond
	mostRuns   = 9
	// enoughPairs and mostPairs bound the pairs of a comparison, pairTime what it takes when it has enough of them.
	enoughPairs = 5
	mostPairs   = 15
	pairTime    = 150 * time.Millisecond
	// unsteady is by how much the median of equal runs is longer than the shortest when the machine has other things to do.
	unsteady = 1.25
)

// Compare times runs of a model on one thread and on so many, in turns, so that what else the machine does hits both. It takes 5 to 15
// pairs, as many as fit into 150 ms, after one that does not count.
func Compare(ctx context.Context, alone, several runners.Runner, threads int, in []runners.Tensor) (Measured, error) {
	var one, all []time.Duration
	var gains []float64
	begin := time.Now()
	for i := range mostPairs + 1 {
		first, err := runners.Once(ctx, alone, in)
		if err != nil {
			return Measured{}, err
		}
		second, err := runners.Once(ctx, several, in)
		if err != nil {
			return Measured{}, err
		}
		if i == 0 {
			continue
		}
		one, all = append(one, first), append(all, second)
		gains = append(gains, float64(first)/float64(max(second, 1))-1)
		if len(one) >= enoughPairs && time.Since(begin) > pairTime {
			break
		}
	}
	slices.Sort(gains)
	slices.Sort(one)
	slices.Sort(all)
	middle := len(one) / 2
	return Measured{
		Threads: []ThreadsTook{{Threads: 1, Took: one[middle]}, {Threads: threads, Took: all[middle]}},
		Pairs:   len(gains), Gain: gains[len(gains)/4],
		Busy: float64(one[middle]) > unsteady*float64(one[0]), At: time.Now(),
	}, nil
}

// Time returns the shortest time of a run of r on in, after one that does not count: what makes the others longer is not the model's.
// It takes three to nine runs, as many as fit into 25 ms.
func Time(ctx context.Context, r runners.Runner, in []runners.Tensor) (time.Duration, error) {
	var took []time.Duration
	begin := time.Now()
	for i := range mostRuns + 1 {
		run, err := runners.Once(ctx, r, in)
		if err != nil {
			return 0, err
		}
		if i > 0 {
			took = append(took, run)
		}
		if len(took) >= 3 && time.Since(begin) > enoughTime {
			break
		}
	}
	return slices.Min(took), nil
}

// MeasureRows times runs of 1, 2, 4 and so on rows up to most, as long as budget lasts: it stops before a point that would
// probably exceed it. rows returns inputs of so many rows. What was measured is returned with the error that ended it.
func MeasureRows(ctx context.Context, r runners.Runner, rows func(n int) []runners.Tensor, most int, budget time.Duration) ([]RowsTook, error) {
	var seen []RowsTook
	begin := time.Now()
	for n := 1; n <= most; n *= 2 {
		if len(seen) > 0 {
			// Four runs of twice the rows of the last.
			if next := 8 * seen[len(seen)-1].Took; time.Since(begin)+next > budget {
				break
			}
		}
		took, err := Time(ctx, r, rows(n))
		if err != nil {
			return seen, fmt.Errorf("a run of %d rows: %w", n, err)
		}
		seen = append(seen, RowsTook{Rows: n, Took: took})
	}
	return seen, nil
}
