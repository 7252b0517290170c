package ocr

import (
	"errors"
	"math"

	"github.com/tandem-serve/tandem/plugins/internal/raster"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// PrepareDetectIn is an image to look for text in.
type PrepareDetectIn struct {
	Image plugin.Tensor[uint8] `tdm:"image,shape=h w 3" doc:"RGB"`
}

// PrepareDetectWith configures PrepareDetect.
type PrepareDetectWith struct {
	MaxSide int `with:"max_side" default:"960" min:"32" max:"4096" doc:"longer side of what the detector sees; images are never enlarged"`
}

// PrepareDetectOut is what the detector takes.
type PrepareDetectOut struct {
	X     plugin.Tensor[float32] `tdm:"x,shape=1 3 heat_h heat_w" doc:"BGR, normalised, both sides multiples of 32"`
	Scale plugin.Tensor[float32] `tdm:"scale,shape=2" doc:"width and height of the image over those of x"`
}

// PrepareDetect scales an image so that its longer side is at most MaxSide, rounds both sides to multiples of 32 and
// normalises.
func PrepareDetect(_ *plugin.Context, in PrepareDetectIn, with PrepareDetectWith) (PrepareDetectOut, error) {
	img, err := imageOf(in.Image)
	if err != nil {
		return PrepareDetectOut{}, err
	}
	ratio := min(1, float64(with.MaxSide)/float64(max(img.W, img.H)))
	w, h := multipleOf32(float64(img.W)*ratio), multipleOf32(float64(img.H)*ratio)
	x := plugin.NewTensor[float32](1, 3, int64(h), int64(w))
	raster.Resize(img, img.Whole(), raster.Planar(x.Data, w, h, w, raster.OrderBGR(), [3]*raster.Norm{
		raster.NewNorm(1.0/255, 0.485, 0.229), raster.NewNorm(1.0/255, 0.456, 0.224), raster.NewNorm(1.0/255, 0.406, 0.225),
	}), raster.Linear)
	scale := plugin.NewTensor[float32](2)
	scale.Data[0], scale.Data[1] = float32(img.W)/float32(w), float32(img.H)/float32(h)
	return PrepareDetectOut{X: x, Scale: scale}, nil
}

func multipleOf32(side float64) int { return max(32, 32*int(math.Floor(side/32+0.5))) }

// imageOf returns the pixels of a tensor [h, w, 3].
func imageOf(t plugin.Tensor[uint8]) (raster.RGB, error) {
	img := raster.RGB{W: t.Dim(1), H: t.Dim(0), Pix: t.Data}
	if len(t.Shape) != 3 || t.Dim(2) != 3 || img.W < 1 || img.H < 1 || len(t.Data) != img.W*img.H*3 {
		return img, errors.New("the image is not a tensor [h,w,3] with pixels in it")
	}
	return img, nil
}
