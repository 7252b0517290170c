package raster

import "math"

// Affine maps destination pixels to source pixels: the centre of the pixel at column x and row y lies at
// (X0 + x*XX + y*XY, Y0 + x*YX + y*YY) in coordinates where the centre of the first source pixel is (0, 0).
type Affine struct{ X0, XX, XY, Y0, YX, YY float64 }

// Warp returns an image of w by h pixels that a takes from img, by cubic convolution. What lies outside of img repeats
// its border. It does not average: a should not shrink.
func Warp(img RGB, a Affine, w, h int) RGB {
	out := RGB{W: w, H: h, Pix: make([]uint8, w*h*3)}
	if img.W <= 0 || img.H <= 0 {
		return out
	}
	for y := range h {
		for x := range w {
			sx, sy := a.X0+float64(x)*a.XX+float64(y)*a.XY, a.Y0+float64(x)*a.YX+float64(y)*a.YY
			img.sample(sx, sy, out.Pix[(y*w+x)*3:][:3])
		}
	}
	return out
}

// sample sets to to the pixel at x, y.
func (img RGB) sample(x, y float64, to []uint8) {
	x = min(max(x, -1), float64(img.W))
	y = min(max(y, -1), float64(img.H))
	lowX, lowY := math.Floor(x), math.Floor(y)
	var wx, wy [4]float64
	cubicWeights(x-lowX, wx[:])
	cubicWeights(y-lowY, wy[:])
	var sum [3]float64
	for j, v := range wy {
		row := img.Pix[clamp(int(lowY)+j-1, img.H)*img.W*3:][:img.W*3]
		for i, u := range wx {
			p := row[3*clamp(int(lowX)+i-1, img.W):][:3]
			sum[0] += float64(p[0]) * u * v
			sum[1] += float64(p[1]) * u * v
			sum[2] += float64(p[2]) * u * v
		}
	}
	for c, s := range sum {
		to[c] = uint8(min(max(s+0.5, 0), 255))
	}
}
