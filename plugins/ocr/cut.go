package ocr

import (
	"errors"
	"math"
	"strconv"

	"github.com/tandem-serve/tandem/plugins/internal/raster"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// CutLinesIn is an image and what the detector made of it.
type CutLinesIn struct {
	Image plugin.Tensor[uint8]   `tdm:"image,shape=h w 3" doc:"the image that prepare_detect had"`
	Heat  plugin.Tensor[float32] `tdm:"heat,shape=1 1 heat_h heat_w" doc:"the detector's output"`
	Scale plugin.Tensor[float32] `tdm:"scale,shape=2" doc:"from prepare_detect"`
}

// CutLinesWith configures CutLines.
type CutLinesWith struct {
	Threshold float64 `with:"threshold" default:"0.3" min:"0" max:"1" doc:"heat from which a pixel counts as text"`
	BoxScore  float64 `with:"box_score" default:"0.6" min:"0" max:"1" doc:"mean heat from which a box is kept"`
	Unclip    float64 `with:"unclip" default:"1.5" min:"0" max:"10" doc:"growth of a box: area times this over its perimeter"`
	MaxLines  int     `with:"max_lines" default:"1000" min:"1" max:"10000" doc:"lines at most"`
}

// CutLinesOut are the lines in reading order: row by row from the top, each row from the left.
type CutLinesOut struct {
	Lines []plugin.Tensor[float32] `tdm:"lines,shape=1 3 48 ?" doc:"each line for the recogniser, BGR, -1 to 1"`
	Turns []plugin.Tensor[float32] `tdm:"turns,shape=1 3 48 192" doc:"each line for the angle classifier"`
	Boxes plugin.Tensor[float32]   `tdm:"boxes,shape=n 4 2" doc:"corners x, y in the image, clockwise from the top left"`
}

const (
	lineHeight = 48
	turnWidth  = 192
	// maxLineWidth bounds the width of a line; longer ones are squeezed. It is 80 times the height.
	maxLineWidth = 80 * lineHeight
	// maxLineBytes bounds what the lines of one image take together, since a plugin's memory is bounded.
	maxLineBytes = 160 << 20
)

// CutLines finds the lines in a heat map and cuts them out of the image, upright. No line is an ordinary answer.
func CutLines(_ *plugin.Context, in CutLinesIn, with CutLinesWith) (CutLinesOut, error) {
	img, err := imageOf(in.Image)
	if err != nil {
		return CutLinesOut{}, err
	}
	if len(in.Scale.Data) != 2 || in.Heat.Dim(2)*in.Heat.Dim(3) != len(in.Heat.Data) {
		return CutLinesOut{}, errors.New("heat is not [1,1,h,w] or scale is not [2]")
	}
	heat := heatMap{w: in.Heat.Dim(3), h: in.Heat.Dim(2), data: in.Heat.Data}
	found := heat.boxes(boxParams{with.Threshold, with.BoxScore, with.Unclip, with.MaxLines})
	var boxes []quad
	for _, r := range found {
		if q, ok := r.placed(float64(in.Scale.Data[0]), float64(in.Scale.Data[1]), img.W, img.H); ok {
			boxes = append(boxes, q)
		}
	}
	return cutAll(img, boxes)
}

func cutAll(img raster.RGB, boxes []quad) (CutLinesOut, error) {
	out := CutLinesOut{Boxes: plugin.NewTensor[float32](int64(len(boxes)), 4, 2)}
	size := 0
	for _, q := range boxes {
		size += 3 * lineHeight * 4 * (newCut(q).lineWidth() + turnWidth)
	}
	if size > maxLineBytes {
		return out, errors.New(strconv.Itoa(len(boxes)) + " lines take " + strconv.Itoa(size>>20) + " MiB, more than the " +
			strconv.Itoa(maxLineBytes>>20) + " that one call may use: lower max_lines")
	}
	norm := raster.NewNorm(1.0/255, 0.5, 0.5)
	for _, row := range rowsOf(boxes) {
		for _, i := range row {
			c := newCut(boxes[i])
			n := len(out.Lines)
			for k, p := range boxes[i] {
				p = p.clipped(img.W, img.H)
				out.Boxes.Data[n*8+2*k] = float32(math.Round(p.x))
				out.Boxes.Data[n*8+2*k+1] = float32(math.Round(p.y))
			}
			w := c.lineWidth()
			out.Lines = append(out.Lines, c.take(img, w, w, norm))
			out.Turns = append(out.Turns, c.start().take(img, min(w, turnWidth), turnWidth, norm))
		}
	}
	return out, nil
}

// cut is a part of an image that is read along x and down y from its origin.
type cut struct{ origin, x, y point }

// newCut returns the cut of a box. A box that is half again as high as wide holds a line that runs downwards, or one
// that runs upwards, which the angle classifier then finds upside down.
func newCut(q quad) cut {
	width, height := q[1].sub(q[0]).length(), q[3].sub(q[0]).length()
	if height >= 1.5*width {
		q = quad{q[1], q[2], q[3], q[0]}
	}
	return cut{origin: q[0], x: q[1].sub(q[0]), y: q[3].sub(q[0])}
}

// start returns the beginning of the line, up to 8 times as long as high. Squeezed to its half it fills what the angle
// classifier sees. PaddleOCR squeezes lines of any length; on 204 lines of the example images, each both ways up, that
// misjudged 27, and this 9.
func (c cut) start() cut {
	if most := 2 * turnWidth / lineHeight * c.y.length(); c.x.length() > most {
		c.x = c.x.times(most / c.x.length()).rounded()
	}
	return c
}

// lineWidth returns the width that keeps the proportions at lineHeight.
func (c cut) lineWidth() int {
	return min(max(int(math.Ceil(lineHeight*c.x.length()/c.y.length())), 1), maxLineWidth)
}

// take returns the cut as a tensor of width columns, of which it fills the first w; the rest is the value of grey.
func (c cut) take(img raster.RGB, w, width int, norm *raster.Norm) plugin.Tensor[float32] {
	t := plugin.NewTensor[float32](1, 3, lineHeight, int64(width))
	dst := raster.Planar(t.Data, w, lineHeight, width, raster.OrderBGR(), [3]*raster.Norm{norm, norm, norm})
	win := raster.Window{
		X0: c.origin.x, Y0: c.origin.y, X1: c.origin.x + c.x.x, Y1: c.origin.y + c.y.y,
	}
	if c.x.y != 0 || c.y.x != 0 || c.x.x < 0 || c.y.y < 0 {
		img = c.upright(img)
		win = img.Whole()
	}
	raster.Resize(img, win, dst, raster.Cubic)
	return t
}

// upright returns the cut in its own size.
func (c cut) upright(img raster.RGB) raster.RGB {
	w, h := max(1, int(c.x.length())), max(1, int(c.y.length()))
	x, y := c.x.times(1/float64(w)), c.y.times(1/float64(h))
	return raster.Warp(img, raster.Affine{X0: c.origin.x, XX: x.x, XY: y.x, Y0: c.origin.y, YX: x.y, YY: y.y}, w, h)
}
