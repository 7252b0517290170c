package raster

import "math"

const (
	// maxFactor is up to which factor every source pixel counts when an axis shrinks; beyond that 4 samples do.
	maxFactor  = 4
	maxSamples = 4
)

// taps says for each position of one axis which source positions make it up, n each, and their weights. Source positions
// may lie outside of the image and then stand for its border.
type taps struct {
	n      int
	at     []int32
	weight []uint64 // in two's complement; those of a position add up to one
}

func newTaps(count, n int) taps {
	return taps{n: n, at: make([]int32, count*n), weight: make([]uint64, count*n)}
}

// set sets the weights of position i, which add up to 1 but for rounding, to whole numbers that add up to one.
func (t taps) set(i int, w []float64, one int) {
	left, largest := one, 0
	for j, v := range w {
		whole := int(math.Round(v * float64(one)))
		t.weight[i*t.n+j] = uint64(whole)
		left -= whole
		if v > w[largest] {
			largest = j
		}
	}
	t.weight[i*t.n+largest] += uint64(left)
}

// axis returns the taps that map the span from..to of the source onto n destinations.
func axis(n int, from, to float64, k Kernel, one int) taps {
	step := (to - from) / float64(n)
	switch {
	case step > maxFactor:
		return sampled(n, from, step, one)
	case step > 1:
		return averaged(n, from, step, one)
	case step == 1 && from == math.Floor(from):
		return copied(n, int(from), one)
	case k == Cubic:
		return interpolated(n, from, step, one, 4, cubicWeights)
	default:
		return interpolated(n, from, step, one, 2, linearWeights)
	}
}

func copied(n, from, one int) taps {
	t := newTaps(n, 1)
	for i := range n {
		t.at[i], t.weight[i] = int32(from+i), uint64(one)
	}
	return t
}

// sampled takes the mean of samples that are evenly spaced.
func sampled(n int, from, step float64, one int) taps {
	t := newTaps(n, maxSamples)
	for i := range n {
		for j := range maxSamples {
			x := from + (float64(i)+(float64(j)+0.5)/maxSamples)*step
			t.at[i*maxSamples+j] = int32(math.Floor(x))
			t.weight[i*maxSamples+j] = uint64(one / maxSamples)
		}
	}
	return t
}

// averaged weighs each source position by how much of it lies in the destination.
func averaged(n int, from, step float64, one int) taps {
	k := int(math.Ceil(step)) + 1
	t := newTaps(n, k)
	w := make([]float64, k)
	for i := range n {
		low, high := from+float64(i)*step, from+float64(i+1)*step
		first := int(math.Floor(low))
		for j := range k {
			t.at[i*k+j] = int32(first + j)
			w[j] = max(0, min(high, float64(first+j+1))-max(low, float64(first+j))) / step
		}
		t.set(i, w, one)
	}
	return t
}

// interpolated weighs the k source positions around the middle of the destination.
func interpolated(n int, from, step float64, one, k int, weights func(frac float64, w []float64)) taps {
	t := newTaps(n, k)
	w := make([]float64, k)
	for i := range n {
		x := from + (float64(i)+0.5)*step - 0.5
		low := math.Floor(x)
		weights(x-low, w)
		for j := range k {
			t.at[i*k+j] = int32(int(low) + j + 1 - k/2)
		}
		t.set(i, w, one)
	}
	return t
}

func linearWeights(frac float64, w []float64) { w[0], w[1] = 1-frac, frac }

// cubicWeights sets the weights of the positions -1, 0, 1 and 2 for a place between 0 and 1.
func cubicWeights(frac float64, w []float64) {
	const a = -0.75
	far := func(d float64) float64 { return ((a*d-5*a)*d+8*a)*d - 4*a }
	near := func(d float64) float64 { return ((a+2)*d-(a+3))*d*d + 1 }
	w[0], w[1], w[2] = far(1+frac), near(frac), near(1-frac)
	w[3] = 1 - w[0] - w[1] - w[2]
}
