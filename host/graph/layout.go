package graph

import (
	"cmp"
	"slices"
)

// layout places the boxes of a picture in layers from left to right, so that every line goes to the right: inputs first,
// each node behind what it reads, outputs last. A line that passes layers gets a place in each, so that it crosses no box.
type layout struct {
	boxes  []*box // inputs, nodes, outputs, then places of lines
	lines  []line
	layers [][]int // boxes by layer, top to bottom
	left   []float64
	width  []float64
	height float64
}

// box is a rectangle with ports, or a place where a line passes a layer.
type box struct {
	layer   int
	w, h, y float64
	in      []port // left side
	out     []port // right side
	before  []int  // boxes whose lines come in, in the layer before
	after   []int  // boxes to which lines go, in the next layer
	sink    bool   // it stands in the last column
}

// port is where lines begin or end, counted from the top of the box.
type port struct {
	y float64
}

// line goes from an output of one box to an input of another, through places of the layers between.
type line struct {
	from, out int
	to, in    int // in is -1 for the head of the box
	via       []int
	dashed    bool
	list      bool
	text      string
}

// Distances of a picture, in pixels.
const (
	boxGap     = 18 // between boxes of a layer
	passHeight = 12
	maxPasses  = 20_000 // places of lines in a picture; beyond, lines cross boxes
	sweeps     = 12
)

// arrange places all boxes. Lines must be complete but for via.
func (l *layout) arrange() {
	l.layer()
	l.route()
	l.layers = make([][]int, 1)
	for i, b := range l.boxes {
		for len(l.layers) <= b.layer {
			l.layers = append(l.layers, nil)
		}
		l.layers[b.layer] = append(l.layers[b.layer], i)
	}
	for range sweeps {
		l.sweep(1, 1, func(b *box) []int { return b.before })
		l.sweep(len(l.layers)-2, -1, func(b *box) []int { return b.after })
	}
	l.stack()
	for range sweeps {
		for layer := range l.layers {
			l.settle(layer)
		}
		for layer := range slices.Backward(l.layers) {
			l.settle(layer)
		}
	}
	l.measure()
}

// layer puts every box behind those whose lines come in. Lines go from boxes with smaller indexes to larger ones.
func (l *layout) layer() {
	last := 0
	byTarget := slices.Clone(l.lines)
	slices.SortStableFunc(byTarget, func(a, b line) int { return cmp.Compare(a.to, b.to) })
	for _, n := range byTarget {
		l.boxes[n.to].layer = max(l.boxes[n.to].layer, l.boxes[n.from].layer+1)
		last = max(last, l.boxes[n.to].layer)
	}
	for _, b := range l.boxes {
		if b.sink {
			b.layer = last
		}
	}
}

// route makes places for lines that pass layers. Lines from one port share them as far as they go together.
func (l *layout) route() {
	type start struct{ box, out int }
	chains := map[start][]int{}
	passes := 0
	for i := range l.lines {
		n := &l.lines[i]
		key := start{n.from, n.out}
		chain := chains[key]
		span := l.boxes[n.to].layer - l.boxes[n.from].layer - 1
		for len(chain) < span && passes < maxPasses {
			passes++
			b := &box{layer: l.boxes[n.from].layer + 1 + len(chain), h: passHeight, in: []port{{passHeight / 2}}, out: []port{{passHeight / 2}}}
			l.boxes = append(l.boxes, b)
			chain = append(chain, len(l.boxes)-1)
		}
		chains[key] = chain
		n.via = chain[:min(span, len(chain))]
		stops := slices.Concat([]int{n.from}, n.via, []int{n.to})
		for k := range len(stops) - 1 {
			if a, b := l.boxes[stops[k]], l.boxes[stops[k+1]]; !slices.Contains(a.after, stops[k+1]) {
				a.after, b.before = append(a.after, stops[k+1]), append(b.before, stops[k])
			}
		}
	}
}

// sweep orders the layers from one on by the middle of what the boxes are connected to.
func (l *layout) sweep(from, step int, near func(*box) []int) {
	for layer := from; layer >= 0 && layer < len(l.layers); layer += step {
		place := map[int]float64{} // of the neighbours
		for k, i := range l.layers[layer-step] {
			place[i] = float64(k)
		}
		want := map[int]float64{}
		for k, i := range l.layers[layer] {
			want[i] = float64(k)
			if around := near(l.boxes[i]); len(around) > 0 {
				sum := 0.0
				for _, j := range around {
					sum += place[j]
				}
				want[i] = sum / float64(len(around))
			}
		}
		slices.SortStableFunc(l.layers[layer], func(a, b int) int { return cmp.Compare(want[a], want[b]) })
	}
}

// stack gives every box a first height.
func (l *layout) stack() {
	for _, layer := range l.layers {
		y := 0.0
		for _, i := range layer {
			l.boxes[i].y = y
			y += l.boxes[i].h + boxGap
		}
	}
}

// settle moves the boxes of a layer as near as they can come to where their lines would be straight, in their order: the
// least squares of the distances, by pooling neighbours that are in each other's way.
func (l *layout) settle(layer int) {
	type pool struct {
		sum, n, h float64 // of wishes, how many, height with gaps
		boxes     []int
	}
	var pools []pool
	for _, i := range l.layers[layer] {
		b := l.boxes[i]
		pools = append(pools, pool{sum: l.wish(i), n: 1, h: b.h + boxGap, boxes: []int{i}})
		for len(pools) > 1 {
			a, z := &pools[len(pools)-2], &pools[len(pools)-1]
			if a.sum/a.n+a.h <= z.sum/z.n {
				break
			}
			// Together each wish of z counts from a's top.
			a.sum += z.sum - z.n*a.h
			a.n, a.h, a.boxes = a.n+z.n, a.h+z.h, append(a.boxes, z.boxes...)
			pools = pools[:len(pools)-1]
		}
	}
	for _, p := range pools {
		y := p.sum / p.n
		for _, i := range p.boxes {
			l.boxes[i].y = y
			y += l.boxes[i].h + boxGap
		}
	}
}

// wish returns where the top of a box should be for its lines to be straight.
func (l *layout) wish(i int) float64 {
	b := l.boxes[i]
	sum, n := 0.0, 0.0
	for _, j := range b.before {
		sum, n = sum+l.middle(j, true)-l.middle(i, false)+b.y, n+1
	}
	for _, j := range b.after {
		sum, n = sum+l.middle(j, false)-l.middle(i, true)+b.y, n+1
	}
	if n == 0 {
		return b.y
	}
	return sum / n
}

// middle returns the height at which the lines of one side meet a box, on average.
func (l *layout) middle(i int, out bool) float64 {
	b := l.boxes[i]
	ports := b.in
	if out {
		ports = b.out
	}
	if len(ports) == 0 {
		return b.y + b.h/2
	}
	sum := 0.0
	for _, p := range ports {
		sum += p.y
	}
	return b.y + sum/float64(len(ports))
}

// measure moves everything to where the picture begins and gives layers their columns.
func (l *layout) measure() {
	top, bottom := l.boxes[0].y, 0.0
	for _, b := range l.boxes {
		top = min(top, b.y)
	}
	l.left, l.width = make([]float64, len(l.layers)), make([]float64, len(l.layers))
	lines := make([]float64, len(l.layers)) // that arrive in a layer
	for _, b := range l.boxes {
		b.y += margin - top
		bottom = max(bottom, b.y+b.h)
		l.width[b.layer] = max(l.width[b.layer], b.w)
		lines[b.layer] += float64(len(b.before))
	}
	x := float64(margin)
	for i := range l.layers {
		if i > 0 {
			x += min(60+3*lines[i], 160) // room for lines to bend
		}
		l.left[i] = x
		x += l.width[i]
	}
	l.height = bottom + margin
}
