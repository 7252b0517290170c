package raster

import "math"

// Affine maps destination pixels to source pixels: the centre of the pixel at column x and row y lies at
// (X0 + x*XX + y*XY, Y0 + x*YX + y*YY) in coordinates where the centre of the first source pixel is (0, 0).
type Affine struct{ X0, XX, XY, Y0, YX, YY float64 }

const (
	places  = 64 // between two pixels that are told apart
	outside = 4  // pixels around an image; beyond them all is border
)

// Warp returns an image of w by h pixels that a takes from img, by cubic convolution. What lies outside of img repeats
// its border. It does not average: a should not shrink.
func Warp(img RGB, a Affine, w, h int) RGB {
	out := RGB{W: w, H: h, Pix: make([]uint8, w*h*3)}
	if img.W <= 0 || img.H <= 0 {
		return out
	}
	s := newSampler(img)
	to := out.Pix
	for y := range h {
		sx, sy := a.X0+float64(y)*a.XY, a.Y0+float64(y)*a.YY
		for x := range w {
			s.sample(to[:3], sx+float64(x)*a.XX, sy+float64(x)*a.YX)
			to = to[3:]
		}
	}
	return out
}

// sampler takes pixels from between those of an image.
type sampler struct {
	img  RGB
	x, y [places][4]uint64 // weights
}

func newSampler(img RGB) *sampler {
	s := &sampler{img: img}
	one := taps{n: 4, weight: make([]uint64, 4)}
	var w [4]float64
	for i := range places {
		cubicWeights(float64(i)/places, w[:])
		one.set(0, w[:], 1<<xBits)
		s.x[i] = [4]uint64(one.weight)
		one.set(0, w[:], 1<<yBits)
		s.y[i] = [4]uint64(one.weight)
	}
	return s
}

// sample sets to to the pixel at x, y.
func (s *sampler) sample(to []uint8, x, y float64) {
	ix, fx := split(x, s.img.W)
	iy, fy := split(y, s.img.H)
	wx, wy := &s.x[fx], &s.y[fy]
	var sum uint64
	for j, w := range wy {
		row := s.img.Pix[clamp(iy+j-1, s.img.H)*s.img.W*3:][:s.img.W*3]
		if ix >= 1 && ix+3 <= s.img.W {
			p := row[3*ix-3:][:12]
			sum += w * rounded((uint64(p[0])|uint64(p[1])<<lane|uint64(p[2])<<(2*lane))*wx[0]+
				(uint64(p[3])|uint64(p[4])<<lane|uint64(p[5])<<(2*lane))*wx[1]+
				(uint64(p[6])|uint64(p[7])<<lane|uint64(p[8])<<(2*lane))*wx[2]+
				(uint64(p[9])|uint64(p[10])<<lane|uint64(p[11])<<(2*lane))*wx[3])
			continue
		}
		var across uint64
		for i, v := range wx {
			p := row[3*clamp(ix+i-1, s.img.W):][:3]
			across += v * (uint64(p[0]) | uint64(p[1])<<lane | uint64(p[2])<<(2*lane))
		}
		sum += w * rounded(across)
	}
	for c := range 3 {
		to[c] = uint8(min(max(level(sum, lane*c)-bias, 0), 255))
	}
}

// split returns the pixel at or before v and the place after it; far outside of the image all places are alike.
func split(v float64, size int) (pixel, place int) {
	v = min(max(v, -outside), float64(size+outside))
	low := math.Floor(v)
	place = int((v-low)*places + 0.5)
	return int(low) + place/places, place % places
}
