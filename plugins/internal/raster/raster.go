// Package raster resamples 8-bit RGB images into the normalised float planes that vision models take. It is written for
// scalar code in a sandbox: tables are made once per call, inner loops run over slices. It holds no state.
package raster

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
