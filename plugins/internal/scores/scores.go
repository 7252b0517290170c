// Package scores does arithmetic on the answers of classifiers. It holds no state.
package scores

import (
	"errors"
	"math"
	"strconv"
)

// CheckLabels reports labels that are missing, empty or there twice.
func CheckLabels(labels []string) error {
	if len(labels) == 0 {
		return errors.New("labels names no class")
	}
	seen := make(map[string]bool, len(labels))
	for _, l := range labels {
		if l == "" || seen[l] {
			return errors.New("labels names " + strconv.Quote(l) + " twice, or a class without a name")
		}
		seen[l] = true
	}
	return nil
}

// Softmax returns exp(v) for every v, scaled to add up to 1. It takes infinities: the largest share 1 evenly.
func Softmax(v []float32) []float32 {
	out := make([]float32, len(v))
	top := math.Inf(-1)
	for _, x := range v {
		top = max(top, float64(x))
	}
	sum := 0.0
	for i, x := range v {
		e := 1.0
		if d := float64(x) - top; d != 0 && !math.IsNaN(d) { // infinity minus itself is no number
			e = math.Exp(d)
		}
		out[i] = float32(e)
		sum += e
	}
	for i := range out {
		out[i] = float32(float64(out[i]) / sum)
	}
	return out
}

// Top returns the index of the largest, the first of equals; -1 of none. NaN never wins over a number.
func Top(v []float32) int {
	best := -1
	for i, x := range v {
		if best < 0 || x > v[best] || math.IsNaN(float64(v[best])) && !math.IsNaN(float64(x)) {
			best = i
		}
	}
	return best
}
