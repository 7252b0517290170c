package raster

import "math"

// Affine maps destination pixels to source pixels: the centre of the pixel at column x and row y lies at
// (X0 + x*XX + y*XY, Y0 + x*YX + y*YY) in coordinates where the centre of the first source pixel is (0, 0).
type Affine struct{ X0, XX, XY, Y0, YX, YY float64 }

// Warp resamples img along a into dst. What lies outside of img repeats its border. Where a shrinks, up to 4 by 4 samples
// make up one pixel.
func Warp(img RGB, a Affine, dst Dst) {
	if img.W <= 0 || img.H <= 0 {
		return
	}
	nx := samples(math.Hypot(a.XX, a.YX))
	ny := samples(math.Hypot(a.XY, a.YY))
	for y := range dst.H {
		for x := range dst.W {
			var sum [3]float32
			for j := range ny {
				dy := float64(y) + offset(j, ny)
				for i := range nx {
					dx := float64(x) + offset(i, nx)
					img.sample(a.X0+dx*a.XX+dy*a.XY, a.Y0+dx*a.YX+dy*a.YY, &sum)
				}
			}
			dst.set(x, y, &sum, 1/float32(nx*ny))
		}
	}
}

func samples(step float64) int { return min(max(int(math.Round(step)), 1), maxTaps) }

// offset returns where sample i of n lies within a pixel, from its centre.
func offset(i, n int) float64 { return (float64(i)+0.5)/float64(n) - 0.5 }

// sample adds the bilinear sample at x, y to sum.
func (img RGB) sample(x, y float64, sum *[3]float32) {
	x = min(max(x, 0), float64(img.W-1))
	y = min(max(y, 0), float64(img.H-1))
	ix, iy := int(x), int(y)
	fx, fy := float32(x-float64(ix)), float32(y-float64(iy))
	nx, ny := min(ix+1, img.W-1), min(iy+1, img.H-1)
	top, bottom := img.Pix[iy*img.W*3:][:img.W*3], img.Pix[ny*img.W*3:][:img.W*3]
	a, b := top[3*ix:][:3], top[3*nx:][:3]
	c, d := bottom[3*ix:][:3], bottom[3*nx:][:3]
	wa, wb, wc, wd := (1-fx)*(1-fy), fx*(1-fy), (1-fx)*fy, fx*fy
	for k := range 3 {
		sum[k] += float32(a[k])*wa + float32(b[k])*wb + float32(c[k])*wc + float32(d[k])*wd
	}
}

func (d *Dst) set(x, y int, sum *[3]float32, weight float32) {
	at := y*d.Row + x*d.Step
	for c := range 3 {
		v := int32(sum[d.Order[c]]*weight + 0.5)
		d.Data[c*d.Plane+at] = d.Norm[c][uint8(v)]
	}
}
