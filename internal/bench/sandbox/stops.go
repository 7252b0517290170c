package sandbox

import (
	"math"
	"runtime/metrics"
)

// stops watches how long Go stops the world for collections: from the decision to stop until all goroutines run again.
type stops struct {
	before []uint64
}

func newStops() *stops { return &stops{before: stopCounts().Counts} }

func stopCounts() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

// quantile returns an upper bound, in seconds, of the q-quantile of the stops since s was made; 0 without any.
func (s *stops) quantile(q float64) float64 {
	now := stopCounts()
	var n uint64
	for i, c := range now.Counts {
		n += c - s.before[i]
	}
	rank := uint64(math.Ceil(q * float64(n)))
	for i, c := range now.Counts {
		c -= s.before[i]
		if n > 0 && c >= rank {
			return now.Buckets[i+1]
		}
		rank -= c
	}
	return 0
}
