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

// Kernel says how an image is enlarged. Along an axis that shrinks, areas are averaged.
type Kernel uint8

// Kernels.
const (
	Linear Kernel = iota
	// Cubic is cubic convolution with a = -0.75. It keeps edges sharp: what reads text sees the spaces between words.
	Cubic
)

const (
	fixBits = 11 // of one axis' weights
	fixOne  = 1 << fixBits
	// maxFactor is up to which factor every source pixel counts when an axis shrinks; beyond that 4 samples do.
	maxFactor  = 4
	maxSamples = 4
)

// taps says for each position of one axis which source positions make it up, n each, and their weights, which add up to
// fixOne.
type taps struct {
	n      int
	at     []int32
	weight []int32
}

func newTaps(count, n int) taps {
	return taps{n: n, at: make([]int32, count*n), weight: make([]int32, count*n)}
}

// axis returns the taps that map the span from..to of size source positions onto n destinations.
func axis(n, size int, from, to float64, k Kernel) taps {
	step := (to - from) / float64(n)
	switch {
	case step > maxFactor:
		return sampled(n, size, from, step)
	case step > 1:
		return averaged(n, size, from, step)
	case step == 1 && from == math.Floor(from):
		return copied(n, size, int(from))
	case k == Cubic:
		return interpolated(n, size, from, step, 4, cubicWeights)
	default:
		return interpolated(n, size, from, step, 2, linearWeights)
	}
}

func copied(n, size, from int) taps {
	t := newTaps(n, 1)
	for i := range n {
		t.at[i], t.weight[i] = int32(clamp(from+i, size)), fixOne
	}
	return t
}

// sampled takes the mean of samples that are evenly spaced.
func sampled(n, size int, from, step float64) taps {
	t := newTaps(n, maxSamples)
	for i := range n {
		for j := range maxSamples {
			x := from + (float64(i)+(float64(j)+0.5)/maxSamples)*step
			t.at[i*maxSamples+j] = int32(clamp(int(math.Floor(x)), size))
			t.weight[i*maxSamples+j] = fixOne / maxSamples
		}
	}
	return t
}

// averaged weighs each source position by how much of it lies in the destination.
func averaged(n, size int, from, step float64) taps {
	k := int(math.Ceil(step)) + 1
	t := newTaps(n, k)
	for i := range n {
		low, high := from+float64(i)*step, from+float64(i+1)*step
		first, left := int(math.Floor(low)), int32(fixOne)
		for j := range k {
			covered := min(high, float64(first+j+1)) - max(low, float64(first+j))
			w := min(left, int32(math.Round(max(covered, 0)/step*fixOne)))
			t.at[i*k+j], t.weight[i*k+j] = int32(clamp(first+j, size)), w
			left -= w
		}
		t.weight[i*k+k/2] += left // the rounding
	}
	return t
}

// interpolated weighs the k source positions around the middle of the destination.
func interpolated(n, size int, from, step float64, k int, weights func(frac float64, w []float64)) taps {
	t := newTaps(n, k)
	w := make([]float64, k)
	for i := range n {
		x := from + (float64(i)+0.5)*step - 0.5
		low := math.Floor(x)
		weights(x-low, w)
		left := int32(fixOne)
		for j := range k {
			t.at[i*k+j] = int32(clamp(int(low)+j+1-k/2, size))
			t.weight[i*k+j] = int32(math.Round(w[j] * fixOne))
			left -= t.weight[i*k+j]
		}
		t.weight[i*k+k/2-1] += left // the rounding
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

func clamp(i, size int) int { return min(max(i, 0), size-1) }

// Resize resamples the window of img into dst; what the window covers outside of img repeats its border. An image or
// destination without pixels leaves dst as it is.
func Resize(img RGB, win Window, dst Dst, k Kernel) {
	if img.W <= 0 || img.H <= 0 || dst.W <= 0 || dst.H <= 0 {
		return
	}
	r := resizer{img: img, cols: axis(dst.W, img.W, win.X0, win.X1, k), width: 3 * dst.W}
	rows := axis(dst.H, img.H, win.Y0, win.Y1, k)
	sum := make([]int32, r.width)
	for y := range dst.H {
		clear(sum)
		for j := range rows.n {
			if weight := rows.weight[y*rows.n+j]; weight != 0 {
				blend(sum, r.row(int(rows.at[y*rows.n+j])), weight)
			}
		}
		writeRow(dst, y, sum)
	}
}

// blend adds row*weight to sum.
func blend(sum, row []int32, weight int32) {
	row = row[:len(sum)]
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
			out[x*dst.Step] = norm[uint8(min(max(v, 0), 255))] // cubic convolution overshoots
		}
	}
}

// resizer squeezes source rows, and remembers the last few since neighbouring destination rows share them.
type resizer struct {
	img   RGB
	cols  taps
	width int
	rows  [4]struct {
		y    int
		have bool
		data []int32
	}
}

// row returns source row y squeezed to the destination's width, in fixOne-ths.
func (r *resizer) row(y int) []int32 {
	slot := &r.rows[y%len(r.rows)]
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
	case 4:
		squeeze4(slot.data, src, r.cols.at, r.cols.weight)
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

func squeeze4(out []int32, src []uint8, at, weight []int32) {
	for i := 0; i+3 < len(at) && i+3 < len(weight); i += 4 {
		p, q, u, v := src[3*at[i]:][:3], src[3*at[i+1]:][:3], src[3*at[i+2]:][:3], src[3*at[i+3]:][:3]
		a, b, c, d := weight[i], weight[i+1], weight[i+2], weight[i+3]
		o := out[3*(i/4):][:3]
		o[0] = int32(p[0])*a + int32(q[0])*b + int32(u[0])*c + int32(v[0])*d
		o[1] = int32(p[1])*a + int32(q[1])*b + int32(u[1])*c + int32(v[1])*d
		o[2] = int32(p[2])*a + int32(q[2])*b + int32(u[2])*c + int32(v[2])*d
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
