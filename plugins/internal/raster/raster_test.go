package raster

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func identity() [3]*Norm { n := NewNorm(1, 0, 1); return [3]*Norm{n, n, n} }

// gradient returns an image whose pixel x, y is red x, green y, blue 7.
func gradient(w, h int) RGB {
	img := RGB{W: w, H: h, Pix: make([]uint8, w*h*3)}
	for y := range h {
		for x := range w {
			copy(img.Pix[(y*w+x)*3:], []uint8{uint8(x), uint8(y), 7})
		}
	}
	return img
}

func TestResizeSameSize(t *testing.T) {
	img := gradient(5, 4)
	out := make([]float32, 60)
	Resize(img, img.Whole(), Planar(out, 5, 4, 5, OrderBGR(), identity()), Linear)
	for y := range 4 {
		for x := range 5 {
			at := y*5 + x
			if out[at] != 7 || out[20+at] != float32(y) || out[40+at] != float32(x) {
				t.Fatalf("pixel %d, %d: got %v %v %v", x, y, out[at], out[20+at], out[40+at])
			}
		}
	}
}

// TestResizeGradient: a linear ramp stays one, whatever the factor.
func TestResizeGradient(t *testing.T) {
	img := gradient(200, 200)
	for _, n := range []int{37, 100, 150, 199, 40, 20} {
		out := make([]float32, 3*n*n)
		Resize(img, img.Whole(), Planar(out, n, n, n, OrderRGB(), identity()), Linear)
		step := 200 / float64(n)
		for x := 1; x < n-1; x++ {
			want := (float64(x)+0.5)*step - 0.5
			if got := float64(out[(n/2)*n+x]); math.Abs(got-want) > 1.2 {
				t.Errorf("to %d: column %d: got %v, want %v", n, x, got, want)
				break
			}
		}
	}
}

func TestResizeKeepsConstants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w, h := rapid.IntRange(1, 70).Draw(rt, "w"), rapid.IntRange(1, 70).Draw(rt, "h")
		toW, toH := rapid.IntRange(1, 70).Draw(rt, "toW"), rapid.IntRange(1, 70).Draw(rt, "toH")
		v := rapid.Byte().Draw(rt, "v")
		img := RGB{W: w, H: h, Pix: make([]uint8, w*h*3)}
		for i := range img.Pix {
			img.Pix[i] = v
		}
		win := Window{
			X0: rapid.Float64Range(-20, 50).Draw(rt, "x0"), Y0: rapid.Float64Range(-20, 50).Draw(rt, "y0"),
			X1: rapid.Float64Range(50, 90).Draw(rt, "x1"), Y1: rapid.Float64Range(50, 90).Draw(rt, "y1"),
		}
		out := make([]float32, 3*toW*toH)
		Resize(img, win, Planar(out, toW, toH, toW, OrderRGB(), identity()), Kernel(rapid.IntRange(0, 1).Draw(rt, "kernel")))
		warped := Warp(img, Affine{X0: win.X0, XX: win.X1 / 30, XY: 0.1, Y0: win.Y0, YX: -0.2, YY: 2}, toW, toH).Pix
		for i := range out {
			if out[i] != float32(v) || warped[i] != v {
				rt.Fatalf("element %d: got %v and %v, want %d", i, out[i], warped[i], v)
			}
		}
	})
}

// TestWarpIsResize: along the axes the two give the same, to a rounding.
func TestWarpIsResize(t *testing.T) {
	img := gradient(90, 60)
	for _, n := range []int{60, 90, 120} {
		out := make([]float32, 3*n*48)
		Resize(img, Window{X0: 10, Y0: 5, X1: 70, Y1: 45}, Planar(out, n, 48, n, OrderRGB(), identity()), Cubic)
		dx, dy := 60/float64(n), 40.0/48
		warped := Warp(img, Affine{X0: 10 + dx/2 - 0.5, XX: dx, Y0: 5 + dy/2 - 0.5, YY: dy}, n, 48)
		for i, p := range warped.Pix {
			if got := out[i%3*n*48+i/3]; math.Abs(float64(got)-float64(p)) > 1 {
				t.Fatalf("%d wide: element %d: got %v and %v", n, i, got, p)
			}
		}
	}
}

// TestCubicIsSharper: between black and white it overshoots, which clips, and its edge is steeper.
func TestCubicIsSharper(t *testing.T) {
	img := RGB{W: 4, H: 1, Pix: []uint8{50, 50, 50, 50, 50, 50, 200, 200, 200, 200, 200, 200}}
	linear, cubic := make([]float32, 3*16), make([]float32, 3*16)
	Resize(img, img.Whole(), Planar(linear, 16, 1, 16, OrderRGB(), identity()), Linear)
	Resize(img, img.Whole(), Planar(cubic, 16, 1, 16, OrderRGB(), identity()), Cubic)
	if cubic[4] >= 50 || cubic[11] <= 200 || cubic[8]-cubic[7] <= linear[8]-linear[7] {
		t.Errorf("got %v, linear %v", cubic[:16], linear[:16])
	}
}

func TestNothingToDo(t *testing.T) {
	out := []float32{1}
	Resize(RGB{}, Window{}, Planar(out, 1, 1, 1, OrderRGB(), identity()), Cubic)
	Warp(RGB{}, Affine{}, 1, 1)
	Resize(gradient(2, 2), Window{0, 0, 2, 2}, Dst{}, Linear)
	if out[0] != 1 {
		t.Errorf("got %v, want 1", out[0])
	}
}

func TestNorm(t *testing.T) {
	n := NewNorm(1.0/255, 0.5, 0.5)
	for v, want := range map[int]float32{0: -1, 255: 1, 51: -0.6} {
		if got := n[v]; math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("%d: got %v, want %v", v, got, want)
		}
	}
}

func BenchmarkResize(b *testing.B) {
	img := gradient(1920, 1080)
	out := make([]float32, 3*960*544)
	dst := Planar(out, 960, 544, 960, OrderBGR(), identity())
	for b.Loop() {
		Resize(img, img.Whole(), dst, Linear)
	}
}
