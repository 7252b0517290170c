package load

import (
	"math"
	"math/bits"
	"time"
)

// subBits says how finely an octave is divided: into 1<<subBits parts, so that a quantile is at most 1/64 too high.
const subBits = 6

// Histogram counts durations. The zero Histogram is empty; it is used from one goroutine at a time.
type Histogram struct {
	counts   []uint64 // by bucket
	n        uint64
	sum      time.Duration
	min, max time.Duration
}

// Add counts one duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	b := bucket(d)
	if b >= len(h.counts) {
		h.counts = append(h.counts, make([]uint64, b+1-len(h.counts))...)
	}
	h.counts[b]++
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.n++
	h.sum += d
}

// Merge adds what o counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if len(o.counts) > len(h.counts) {
		h.counts = append(h.counts, make([]uint64, len(o.counts)-len(h.counts))...)
	}
	for i, c := range o.counts {
		h.counts[i] += c
	}
	if h.n == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.n += o.n
	h.sum += o.sum
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 { return h.n }

// Mean returns the exact mean, 0 when nothing was counted.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}

// Min returns the shortest duration, exactly.
func (h *Histogram) Min() time.Duration { return h.min }

// Max returns the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns a duration that the share q of all durations, from 0 to 1, does not exceed; it is at most 1/64 above
// the smallest such. 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	const rounding = 1e-9 // 15/29*29 is a little more than 15
	rank := uint64(math.Ceil(min(max(q, 0), 1)*float64(h.n) - rounding))
	rank = max(rank, 1)
	var seen uint64
	for b, c := range h.counts {
		if seen += c; seen >= rank {
			return min(top(b), h.max)
		}
	}
	return h.max
}

// bucket returns the number of d's bucket: durations below 1<<subBits ns have one each, every octave above has 1<<subBits.
func bucket(d time.Duration) int {
	v := uint64(d)
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return shift<<subBits + int(v>>shift)
}

// top returns the longest duration of a bucket.
func top(b int) time.Duration {
	if b < 1<<subBits {
		return time.Duration(b)
	}
	shift := b>>subBits - 1
	return time.Duration(uint64(b-shift<<subBits+1)<<shift - 1)
}
