package ocr

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSmallestRect(t *testing.T) {
	for _, c := range []struct {
		name          string
		points        []point
		length, width float64 // in any order
	}{
		{"a point", []point{{3, 4}}, 0, 0},
		{"a stroke", []point{{0, 0}, {3, 4}}, 5, 0},
		{"a box", []point{{0, 0}, {5, 0}, {0, 2}, {5, 2}}, 5, 2},
		{"a diamond", []point{{2, 0}, {0, 2}, {4, 2}, {2, 4}}, math.Sqrt(8), math.Sqrt(8)},
		{"with points inside", []point{{0, 0}, {2, 0}, {5, 0}, {1, 1}, {0, 2}, {5, 2}}, 5, 2},
	} {
		r := smallestRect(hull(c.points))
		long, short := max(r.length, r.width), min(r.length, r.width)
		if math.Abs(long-c.length) > 1e-9 || math.Abs(short-c.width) > 1e-9 {
			t.Errorf("%s: got %v by %v, want %v by %v", c.name, long, short, c.length, c.width)
		}
	}
}

// TestSmallestRectIsAround: every point is inside, and no rectangle along another direction is smaller.
func TestSmallestRectIsAround(t *testing.T) {
	coordinate := rapid.Map(rapid.IntRange(-20, 20), func(i int) float64 { return float64(i) })
	points := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) point {
		return point{coordinate.Draw(t, "x"), coordinate.Draw(t, "y")}
	}), 1, 40)
	rapid.Check(t, func(rt *rapid.T) {
		p := points.Draw(rt, "points")
		slices.SortFunc(p, func(a, b point) int { return cmp.Or(cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x)) })
		p = slices.Compact(p)
		h := hull(p)
		r := smallestRect(h)
		for _, q := range p {
			d := q.sub(r.centre)
			v := point{-r.along.y, r.along.x}
			if math.Abs(d.dot(r.along)) > r.length/2+1e-6 || math.Abs(d.dot(v)) > r.width/2+1e-6 {
				rt.Fatalf("%v lies outside of %+v", q, r)
			}
		}
		angle := rapid.Float64Range(0, math.Pi).Draw(rt, "angle")
		other := rectAlong(h, point{math.Cos(angle), math.Sin(angle)})
		if other.length*other.width < r.length*r.width-1e-6 {
			rt.Fatalf("%+v is smaller than %+v", other, r)
		}
	})
}

func TestCorners(t *testing.T) {
	r := rect{centre: point{10, 10}, along: point{1, 0}, length: 8, width: 4}
	if got, want := r.corners(), (quad{{6, 8}, {14, 8}, {14, 12}, {6, 12}}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	// The same rectangle described the other way round.
	r = rect{centre: point{10, 10}, along: point{0, -1}, length: 4, width: 8}
	if got, want := r.corners(), (quad{{6, 8}, {14, 8}, {14, 12}, {6, 12}}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := r.grown(1).corners(), (quad{{5, 7}, {15, 7}, {15, 13}, {5, 13}}); got != want {
		t.Errorf("grown: got %v, want %v", got, want)
	}
}
