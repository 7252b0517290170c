// Package image is the plugin that turns images into what vision models take: scaled, cropped and normalised.
package image

import (
	"errors"
	"slices"

	"github.com/tandem-serve/tandem/plugins/internal/raster"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// Plugin describes the plugin.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name: "image", Version: "1.0.0", Doc: "Turns images into what vision models take.",
		Functions: []plugin.Function{
			plugin.Func("prepare", "scales and normalises an image for a model", Prepare),
		},
	}
}

// PrepareIn is an image.
type PrepareIn struct {
	Image plugin.Tensor[uint8] `tdm:"image,shape=h w 3" doc:"RGB"`
}

// PrepareWith configures Prepare. The defaults are those of ImageNet classifiers.
type PrepareWith struct {
	Size   int       `with:"size" default:"224" min:"1" max:"4096" doc:"width and height of what the model takes"`
	Width  int       `with:"width" default:"0" min:"0" max:"4096" doc:"width, where it is not size"`
	Height int       `with:"height" default:"0" min:"0" max:"4096" doc:"height, where it is not size"`
	Fit    string    `with:"fit" default:"stretch" enum:"stretch crop" doc:"crop keeps proportions and takes the middle"`
	Scale  float64   `with:"scale" default:"0.00392156862745098" doc:"what a byte is multiplied by, before the mean is taken off"`
	Mean   []float64 `with:"mean" default:"[0.485,0.456,0.406]" doc:"one for each channel in the model's order"`
	Std    []float64 `with:"std" default:"[0.229,0.224,0.225]" doc:"one for each channel, not 0"`
	Layout string    `with:"layout" default:"nchw" enum:"nchw nhwc"`
	Order  string    `with:"order" default:"rgb" enum:"rgb bgr"`
}

// Validate reports lists that are not one number a channel.
func (w *PrepareWith) Validate() error {
	if len(w.Mean) != 3 || len(w.Std) != 3 {
		return errors.New("mean and std are three numbers each")
	}
	if slices.Contains(w.Std, 0) {
		return errors.New("std holds 0")
	}
	return nil
}

// PrepareOut is what the model takes.
type PrepareOut struct {
	X plugin.Tensor[float32] `tdm:"x,shape=1 ? ? ?" doc:"[1,3,height,width], or [1,height,width,3] with layout: nhwc"`
}

// Prepare scales an image and maps each byte v to (v*scale - mean) / std.
func Prepare(_ *plugin.Context, in PrepareIn, with PrepareWith) (PrepareOut, error) {
	img := raster.RGB{W: in.Image.Dim(1), H: in.Image.Dim(0), Pix: in.Image.Data}
	if img.W < 1 || img.H < 1 || len(img.Pix) != img.W*img.H*3 {
		return PrepareOut{}, errors.New("the image is not a tensor [h,w,3] with pixels in it")
	}
	w, h := with.Width, with.Height
	if w == 0 {
		w = with.Size
	}
	if h == 0 {
		h = with.Size
	}
	dst := raster.Dst{W: w, H: h, Data: nil, Row: w, Plane: w * h, Step: 1, Order: raster.OrderRGB()}
	shape := []int64{1, 3, int64(h), int64(w)}
	if with.Layout == "nhwc" {
		dst.Row, dst.Plane, dst.Step = 3*w, 1, 3
		shape = []int64{1, int64(h), int64(w), 3}
	}
	if with.Order == "bgr" {
		dst.Order = raster.OrderBGR()
	}
	for c := range dst.Norm {
		dst.Norm[c] = raster.NewNorm(with.Scale, with.Mean[c], with.Std[c])
	}
	x := plugin.NewTensor[float32](shape...)
	dst.Data = x.Data
	win := img.Whole()
	if with.Fit == "crop" {
		win = middle(img.W, img.H, w, h)
	}
	raster.Resize(img, win, dst, raster.Linear)
	return PrepareOut{X: x}, nil
}

// middle returns the largest window in the middle of an image of w by h that has the proportions of toW by toH.
func middle(w, h, toW, toH int) raster.Window {
	fw, fh := float64(w), float64(h)
	if w*toH > h*toW {
		keep := fh * float64(toW) / float64(toH)
		return raster.Window{X0: (fw - keep) / 2, Y0: 0, X1: (fw + keep) / 2, Y1: fh}
	}
	keep := fw * float64(toH) / float64(toW)
	return raster.Window{X0: 0, Y0: (fh - keep) / 2, X1: fw, Y1: (fh + keep) / 2}
}
