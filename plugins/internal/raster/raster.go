// Package raster resamples 8-bit RGB images into the normalised float planes that vision models take. It is written for
// scalar code in a sandbox: tables are made once per call, inner loops run over slices. It holds no state.
package raster

import "math"

// RGB is an image of W by H pixels, three bytes each, row by row. It is a view: whoever made it owns Pix.
type RGB struct {
	W, H int
	Pix  []uint8
}

// Norm maps the 256 values of a channel to what a model takes.
type Norm [256]float32

// NewNorm returns the map (v*scale - mean) / std.
func NewNorm(scale, mean, std float64) *Norm {
	n := new(Norm)
	for v := range n {
		n[v] = float32((float64(v)*scale - mean) / std)
	}
	return n
}

// Dst is where resampled pixels go: a W by H rectangle in float memory. Channel c of the pixel at x, y is
// Data[c*Plane+y*Row+x*Step] with Order[c] saying which of red (0), green (1) and blue (2) it holds.
type Dst struct {
	W, H             int
	Data             []float32
	Row, Plane, Step int
	Order            [3]int
	Norm             [3]*Norm
}

// Planar returns a destination of three planes of h rows that are stride floats long, of which the first w are written.
func Planar(data []float32, w, h, stride int, order [3]int, norm [3]*Norm) Dst {
	return Dst{W: w, H: h, Data: data, Row: stride, Plane: stride * h, Step: 1, Order: order, Norm: norm}
}

// Channel orders.
func orders() (rgb, bgr [3]int) { return [3]int{0, 1, 2}, [3]int{2, 1, 0} }

// OrderRGB returns the order red, green, blue.
func OrderRGB() [3]int { o, _ := orders(); return o }

// OrderBGR returns the order blue, green, red.
func OrderBGR() [3]int { _, o := orders(); return o }

// Window is the part of an image that is resampled, in pixels; its edges may lie between pixels.
type Window struct{ X0, Y0, X1, Y1 float64 }

// Whole returns the window that covers img.
func (img RGB) Whole() Window { return Window{0, 0, float64(img.W), float64(img.H)} }

const (
	fixBits = 11 // of one axis' weights
	fixOne  = 1 << fixBits
	maxTaps = 4
)

// taps says for each position of one axis which source positions make it up, n each, and their weights, which add up to
// fixOne.
type taps struct {
	n      int
	at     []int32
	weight []int32
}

// axis returns the taps that map the span from..to of size source positions onto n destinations. Up to a factor of 2 it
// is bilinear; beyond that it is the mean of up to maxTaps samples per destination, so that thin strokes do not vanish.
func axis(n, size int, from, to float64) taps {
	step := (to - from) / float64(n)
	k := int(math.Round(step))
	if k < 2 {
		return bilinear(n, size, from, step)
	}
	k = min(k, maxTaps)
	t := taps{n: k, at: make([]int32, n*k), weight: make([]int32, n*k)}
	for i := range n {
		left := int32(fixOne)
		for j := range k {
			x := from + (float64(i)+(float64(j)+0.5)/float64(k))*step
			t.at[i*k+j] = int32(clamp(int(math.Floor(x)), size))
			t.weight[i*k+j] = left / int32(k-j)
			left -= t.weight[i*k+j]
		}
	}
	return t
}

func bilinear(n, size int, from, step float64) taps {
	t := taps{n: 2, at: make([]int32, 2*n), weight: make([]int32, 2*n)}
	exact := true
	for i := range n {
		x := from + (float64(i)+0.5)*step - 0.5
		low := math.Floor(x)
		frac := int32(math.Round((x - low) * fixOne))
		t.at[2*i], t.at[2*i+1] = int32(clamp(int(low), size)), int32(clamp(int(low)+1, size))
		t.weight[2*i], t.weight[2*i+1] = fixOne-frac, frac
		exact = exact && frac == 0
	}
	if !exact {
		return t
	}
	one := taps{n: 1, at: make([]int32, n), weight: make([]int32, n)}
	for i := range n {
		one.at[i], one.weight[i] = t.at[2*i], fixOne
	}
	return one
}

func clamp(i, size int) int { return min(max(i, 0), size-1) }

// Resize resamples the window of img into dst. An image or destination without pixels leaves dst as it is.
func Resize(img RGB, win Window, dst Dst) {
	if img.W <= 0 || img.H <= 0 || dst.W <= 0 || dst.H <= 0 {
		return
	}
	r := resizer{img: img, cols: axis(dst.W, img.W, win.X0, win.X1), width: 3 * dst.W}
	rows := axis(dst.H, img.H, win.Y0, win.Y1)
	sum := make([]int32, r.width)
	for y := range dst.H {
		for j := range rows.n {
			row := r.row(int(rows.at[y*rows.n+j]))
			blend(sum, row, rows.weight[y*rows.n+j], j == 0)
		}
		writeRow(dst, y, sum)
	}
}

// blend sets sum to row*weight, or adds it.
func blend(sum, row []int32, weight int32, first bool) {
	row = row[:len(sum)]
	if first {
		for i := range sum {
			sum[i] = row[i] * weight
		}
		return
	}
	if weight == 0 {
		return
	}
	for i := range sum {
		sum[i] += row[i] * weight
	}
}

// writeRow rounds a row of sums to bytes and writes what they are normalised to.
func writeRow(dst Dst, y int, sum []int32) {
	for c := range 3 {
		norm, from := dst.Norm[c], sum[dst.Order[c]:]
		out := dst.Data[c*dst.Plane+y*dst.Row:]
		for x := range dst.W {
			v := (from[3*x] + 1<<(2*fixBits-1)) >> (2 * fixBits)
			out[x*dst.Step] = norm[uint8(v)]
		}
	}
}

// resizer squeezes source rows, and remembers the last few since neighbouring destination rows share them.
type resizer struct {
	img   RGB
	cols  taps
	width int
	rows  [2]struct {
		y    int
		have bool
		data []int32
	}
}

// row returns source row y squeezed to the destination's width, in fixOne-ths.
func (r *resizer) row(y int) []int32 {
	slot := &r.rows[y%2]
	if slot.have && slot.y == y {
		return slot.data
	}
	if slot.data == nil {
		slot.data = make([]int32, r.width)
	}
	slot.y, slot.have = y, true
	src := r.img.Pix[y*r.img.W*3:][:r.img.W*3]
	switch r.cols.n {
	case 1:
		squeeze1(slot.data, src, r.cols.at)
	case 2:
		squeeze2(slot.data, src, r.cols.at, r.cols.weight)
	default:
		squeeze(slot.data, src, r.cols)
	}
	return slot.data
}

func squeeze1(out []int32, src []uint8, at []int32) {
	for i, a := range at {
		p, o := src[3*a:][:3], out[3*i:][:3]
		o[0], o[1], o[2] = int32(p[0])<<fixBits, int32(p[1])<<fixBits, int32(p[2])<<fixBits
	}
}

func squeeze2(out []int32, src []uint8, at, weight []int32) {
	weight = weight[:len(at)]
	for i := 0; i+1 < len(at); i += 2 {
		p, q, o := src[3*at[i]:][:3], src[3*at[i+1]:][:3], out[3*(i/2):][:3]
		w, v := weight[i], weight[i+1]
		o[0] = int32(p[0])*w + int32(q[0])*v
		o[1] = int32(p[1])*w + int32(q[1])*v
		o[2] = int32(p[2])*w + int32(q[2])*v
	}
}

func squeeze(out []int32, src []uint8, t taps) {
	for i := 0; i*t.n < len(t.at); i++ {
		var r, g, b int32
		at, weight := t.at[i*t.n:][:t.n], t.weight[i*t.n:][:t.n]
		for j, a := range at {
			p, w := src[3*a:][:3], weight[j]
			r += int32(p[0]) * w
			g += int32(p[1]) * w
			b += int32(p[2]) * w
		}
		o := out[3*i:][:3]
		o[0], o[1], o[2] = r, g, b
	}
}
