package quota

import (
	"math"
	"time"
)

// bucket is a token bucket that holds one second's worth. The zero bucket is full. A rate below 0 is no limit.
//
// golang.org/x/time/rate has no charge after the fact that goes into debt without a reservation to wait for, and takes whole
// tokens only, of which fuel would overflow an int on 32 bits.
type bucket struct {
	spent float64   // at the moment at, 0 is full
	at    time.Time // of spent
}

// settle brings spent to now.
func (b *bucket) settle(now time.Time, rate float64) {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.spent = math.Max(0, b.spent-passed*rate)
		b.at = now
	}
}

// wait returns how long it takes until n can be taken, 0 for now. More than a second's worth can be taken from a full
// bucket, so that nothing is impossible for ever.
func (b *bucket) wait(now time.Time, rate, n float64) time.Duration {
	if rate < 0 {
		return 0
	}
	b.settle(now, rate)
	lack := b.spent + math.Min(n, rate) - rate
	if lack <= 1e-9*rate {
		return 0
	}
	if rate == 0 {
		return time.Hour
	}
	return max(time.Duration(lack/rate*float64(time.Second)), time.Millisecond)
}

// take takes n, or returns how long it has to be waited for.
func (b *bucket) take(now time.Time, rate, n float64) time.Duration {
	if wait := b.wait(now, rate, n); wait > 0 {
		return wait
	}
	b.charge(now, rate, n)
	return 0
}

// charge takes n whether it is there or not.
func (b *bucket) charge(now time.Time, rate, n float64) {
	if rate >= 0 {
		b.settle(now, rate)
		b.spent += n
	}
}

// used returns what is taken of a second's worth.
func (b *bucket) used(now time.Time, rate float64) float64 {
	if rate < 0 {
		return 0
	}
	b.settle(now, rate)
	return math.Min(b.spent, rate)
}

func (b *bucket) indebted(now time.Time, rate float64) bool {
	return b.wait(now, rate, 0) > 0
}
