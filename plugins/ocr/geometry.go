package ocr

import (
	"cmp"
	"math"
	"slices"
)

type point struct{ x, y float64 }

func (p point) sub(q point) point        { return point{p.x - q.x, p.y - q.y} }
func (p point) add(q point) point        { return point{p.x + q.x, p.y + q.y} }
func (p point) times(f float64) point    { return point{p.x * f, p.y * f} }
func (p point) length() float64          { return math.Hypot(p.x, p.y) }
func (p point) cross(q point) float64    { return p.x*q.y - p.y*q.x }
func (p point) dot(q point) float64      { return p.x*q.x + p.y*q.y }
func (p point) scale(x, y float64) point { return point{p.x * x, p.y * y} }

// quad is four corners, clockwise from the top left.
type quad [4]point

// rect is a rectangle that may be turned: its centre, the direction of its length and both sides.
type rect struct {
	centre        point
	along         point // of length 1
	length, width float64
}

// grown returns r with every side moved outwards by d.
func (r rect) grown(d float64) rect {
	r.length += 2 * d
	r.width += 2 * d
	return r
}

// corners returns the corners clockwise from the one that is top left: of the two leftmost the upper one.
func (r rect) corners() quad {
	a := r.along.times(r.length / 2)
	b := point{-r.along.y, r.along.x}.times(r.width / 2)
	p := []point{r.centre.sub(a).sub(b), r.centre.add(a).sub(b), r.centre.add(a).add(b), r.centre.sub(a).add(b)}
	slices.SortStableFunc(p, func(p, q point) int { return cmp.Or(cmp.Compare(p.x, q.x), cmp.Compare(p.y, q.y)) })
	if p[0].y > p[1].y {
		p[0], p[1] = p[1], p[0]
	}
	if p[2].y > p[3].y {
		p[2], p[3] = p[3], p[2]
	}
	return quad{p[0], p[2], p[3], p[1]}
}

// hull returns the convex hull of points that are sorted by y, then x, counter-clockwise and without the points on its
// edges.
func hull(sorted []point) []point {
	if len(sorted) < 3 {
		return sorted
	}
	out := make([]point, 0, 16)
	chain := func(p point, low int) {
		for len(out) >= low+2 && out[len(out)-1].sub(out[len(out)-2]).cross(p.sub(out[len(out)-1])) <= 0 {
			out = out[:len(out)-1]
		}
		out = append(out, p)
	}
	for _, p := range sorted {
		chain(p, 0)
	}
	low := len(out) - 1
	for i := len(sorted) - 2; i >= 0; i-- {
		chain(sorted[i], low)
	}
	return out[:len(out)-1]
}

// smallestRect returns the rectangle of least area around a convex hull. One of its sides lies on an edge of the hull.
func smallestRect(hull []point) rect {
	if len(hull) == 1 {
		return rect{centre: hull[0], along: point{1, 0}}
	}
	best, bestArea := rect{}, math.Inf(1)
	for i, p := range hull {
		edge := hull[(i+1)%len(hull)].sub(p)
		l := edge.length()
		if l == 0 {
			continue
		}
		if r := rectAlong(hull, edge.times(1/l)); r.length*r.width < bestArea {
			best, bestArea = r, r.length*r.width
		}
	}
	return best
}

// rectAlong returns the rectangle around hull that lies along u.
func rectAlong(hull []point, u point) rect {
	v := point{-u.y, u.x}
	minU, maxU := math.Inf(1), math.Inf(-1)
	minV, maxV := math.Inf(1), math.Inf(-1)
	for _, p := range hull {
		a, b := p.dot(u), p.dot(v)
		minU, maxU = min(minU, a), max(maxU, a)
		minV, maxV = min(minV, b), max(maxV, b)
	}
	centre := u.times((minU + maxU) / 2).add(v.times((minV + maxV) / 2))
	return rect{centre: centre, along: u, length: maxU - minU, width: maxV - minV}
}
