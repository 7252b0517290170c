package ocr

import "math"

// heatMap is the detector's output: for each pixel how likely it is text.
type heatMap struct {
	w, h int
	data []float32
}

// run is a stretch of hot pixels in one row.
type run struct{ y, from, to int32 } // to is the last one

// regions are the sets of hot pixels that touch each other, corners included.
type regions struct {
	runs   []run
	parent []int32 // of each run; a region is named by its first run
}

// regions finds the pixels above threshold and joins them.
func (m heatMap) regions(threshold float32) *regions {
	g := &regions{}
	above := 0 // the first run of the row above
	for y := range m.h {
		start := len(g.runs)
		row := m.data[y*m.w:][:m.w]
		for x := cold(row, threshold); x < len(row); x += 1 + cold(row[x+1:], threshold) {
			from := x
			for x < len(row) && row[x] > threshold {
				x++
			}
			g.parent = append(g.parent, int32(len(g.runs)))
			g.runs = append(g.runs, run{int32(y), int32(from), int32(x - 1)})
			if x == len(row) {
				break
			}
		}
		g.join(above, start)
		above = start
	}
	return g
}

// cold returns how many pixels row begins with that are not above threshold. Most of a page is cold: four at a time.
func cold(row []float32, threshold float32) int {
	n := 0
	for len(row) >= 4 && !(row[0] > threshold || row[1] > threshold || row[2] > threshold || row[3] > threshold) {
		row = row[4:]
		n += 4
	}
	for _, v := range row {
		if v > threshold {
			break
		}
		n++
	}
	return n
}

// join connects the runs of the last row, from start on, with those of the row above, from above to start.
func (g *regions) join(above, start int) {
	i := above
	for n := start; n < len(g.runs); n++ {
		r := g.runs[n]
		for i < start && (g.runs[i].y < r.y-1 || g.runs[i].to < r.from-1) {
			i++
		}
		for j := i; j < start && g.runs[j].from <= r.to+1; j++ {
			g.union(int32(j), int32(n))
		}
	}
}

func (g *regions) find(i int32) int32 {
	for g.parent[i] != i {
		g.parent[i] = g.parent[g.parent[i]]
		i = g.parent[i]
	}
	return i
}

func (g *regions) union(a, b int32) {
	a, b = g.find(a), g.find(b)
	g.parent[max(a, b)] = min(a, b)
}

// each calls f with the runs of every region, top to bottom, in the order of the regions' first runs, until f returns
// false. The slice is valid until f returns.
func (g *regions) each(f func(runs []run) bool) {
	count := make([]int32, len(g.runs)+1)
	for i := range g.runs {
		count[g.find(int32(i))+1]++
	}
	for i := 1; i < len(count); i++ {
		count[i] += count[i-1]
	}
	sorted := make([]run, len(g.runs))
	next := count
	for i, r := range g.runs {
		root := g.find(int32(i))
		sorted[next[root]] = r
		next[root]++
	}
	from := int32(0)
	for i := range g.runs {
		if to := next[i]; to > from {
			if !f(sorted[from:to]) {
				return
			}
			from = to
		}
	}
}

// outline returns the leftmost and rightmost pixel of each row of a region, sorted by y, then x; nil when the region is
// less than least pixels across or high.
func outline(runs []run, least int) []point {
	left, right := int32(math.MaxInt32), int32(-1)
	for _, r := range runs {
		left, right = min(left, r.from), max(right, r.to)
	}
	if int(right-left) < least || int(runs[len(runs)-1].y-runs[0].y) < least {
		return nil
	}
	out := make([]point, 0, 64)
	for i := 0; i < len(runs); {
		y, from, to := runs[i].y, runs[i].from, runs[i].to
		for ; i < len(runs) && runs[i].y == y; i++ {
			from, to = min(from, runs[i].from), max(to, runs[i].to)
		}
		out = append(out, point{float64(from), float64(y)})
		if to > from {
			out = append(out, point{float64(to), float64(y)})
		}
	}
	return out
}

// mean returns the mean heat of the pixels whose centres lie in q, which is convex; 0 when there are none.
func (m heatMap) mean(q quad) float64 {
	top, bottom := q[0].y, q[0].y
	for _, p := range q[1:] {
		top, bottom = min(top, p.y), max(bottom, p.y)
	}
	var sum float64
	n := 0
	for y := max(0, int(math.Ceil(top))); y <= min(m.h-1, int(math.Floor(bottom))); y++ {
		left, right := q.span(float64(y))
		from, to := max(0, int(math.Ceil(left))), min(m.w-1, int(math.Floor(right)))
		if from > to {
			continue
		}
		for _, v := range m.data[y*m.w+from : y*m.w+to+1] {
			sum += float64(v)
		}
		n += to - from + 1
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// span returns where the line at height y enters and leaves q.
func (q quad) span(y float64) (left, right float64) {
	left, right = math.Inf(1), math.Inf(-1)
	for i, p := range q {
		r := q[(i+1)%4]
		if min(p.y, r.y) > y || max(p.y, r.y) < y {
			continue
		}
		if p.y == r.y {
			left, right = min(left, p.x, r.x), max(right, p.x, r.x)
			continue
		}
		x := p.x + (y-p.y)/(r.y-p.y)*(r.x-p.x)
		left, right = min(left, x), max(right, x)
	}
	const slack = 1e-6 // an edge that runs through pixel centres takes them in
	return left - slack, right + slack
}
