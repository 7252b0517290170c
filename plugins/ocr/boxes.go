package ocr

import "math"

// Numbers of the detector's post-processing.
const (
	minSide = 3 // pixels of the heat map, and of the image
)

// boxParams say what counts as a line of text.
type boxParams struct {
	threshold float64 // heat from which a pixel is text
	score     float64 // mean heat from which a box is kept
	unclip    float64 // growth: area * unclip / perimeter on each side
	max       int     // boxes at most
}

// boxes returns the lines that a heat map shows, in its own coordinates.
func (m heatMap) boxes(p boxParams) []rect {
	var out []rect
	m.regions(float32(p.threshold)).each(func(runs []run) bool {
		points := outline(runs, minSide)
		if points == nil {
			return true
		}
		r := smallestRect(hull(points))
		if min(r.length, r.width) < minSide || !(m.mean(r.corners()) >= p.score) { // NaN is no score
			return true
		}
		out = append(out, r.grown(r.length*r.width*p.unclip/(2*(r.length+r.width))))
		return len(out) < p.max
	})
	return out
}

// placed returns the box in an image of w by h pixels, which is sx and sy times as large as the heat map. Corners are
// clipped to the image where the box stands upright; a turned box keeps its shape. ok is false when too little of it is
// inside.
func (r rect) placed(sx, sy float64, w, h int) (q quad, ok bool) {
	q = r.corners()
	for i := range q {
		q[i] = q[i].scale(sx, sy).rounded()
	}
	if upright(q) {
		for i := range q {
			q[i] = q[i].clipped(w, h)
		}
	}
	inside := q
	for i := range inside {
		inside[i] = inside[i].clipped(w, h)
	}
	return q, min(inside[1].sub(inside[0]).length(), inside[3].sub(inside[0]).length()) > minSide
}

// rounded returns the nearest point of whole pixels: an upright cut of its own size is then a copy, not a blur.
func (p point) rounded() point { return point{math.RoundToEven(p.x), math.RoundToEven(p.y)} }

func (p point) clipped(w, h int) point {
	return point{min(max(p.x, 0), float64(w)), min(max(p.y, 0), float64(h))}
}

// upright reports whether q's sides are parallel to the axes, to within a pixel.
func upright(q quad) bool {
	return math.Abs(q[1].y-q[0].y) < 1 && math.Abs(q[3].x-q[0].x) < 1
}
