package plugins_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/plugins/internal/raster"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// asBytes maps bytes to themselves.
const asBytes = `"scale":1,"mean":[0,0,0],"std":[1,1,1]`

func TestImage(t *testing.T) {
	// Two pixels wide, one high: red, then blue.
	img := tensor(plugin.Of([]uint8{200, 10, 0, 0, 20, 100}, 1, 2, 3))
	for _, c := range []struct {
		name, with string
		shape      []int64
		want       []float32
	}{
		{"as it is", `{"width":2,"height":1,` + asBytes + `}`, []int64{1, 3, 1, 2}, []float32{200, 0, 10, 20, 0, 100}},
		{"nhwc", `{"width":2,"height":1,"layout":"nhwc",` + asBytes + `}`, []int64{1, 1, 2, 3}, []float32{200, 10, 0, 0, 20, 100}},
		{"bgr", `{"width":2,"height":1,"order":"bgr",` + asBytes + `}`, []int64{1, 3, 1, 2}, []float32{0, 100, 10, 20, 200, 0}},
		{"stretched", `{"size":1,` + asBytes + `}`, []int64{1, 3, 1, 1}, []float32{100, 15, 50}},
		{"enlarged", `{"width":4,"height":1,` + asBytes + `}`, []int64{1, 3, 1, 4}, []float32{200, 150, 50, 0, 10, 13, 18, 20, 0, 25, 75, 100}},
		{"cropped", `{"width":1,"height":1,"fit":"crop",` + asBytes + `}`, []int64{1, 3, 1, 1}, []float32{100, 15, 50}},
		{"normalised", `{"width":2,"height":1}`, []int64{1, 3, 1, 2}, []float32{1.3070, -2.1179, -1.8606, -1.6856, -1.8044, -0.0615}},
		{"of its own", `{"width":2,"height":1,"std":[1,2e0,0.5],"mean":[-1,0,1.5e-1],"scale":0.5}`, []int64{1, 3, 1, 2}, []float32{101, 1, 2.5, 5, -0.3, 99.7}},
	} {
		out := call(t, "image", sandbox.Call{Function: "prepare", With: json.RawMessage(c.with), Inputs: []value.Value{img}})
		got := floats(out[0].Data)
		if !cmp.Equal(out[0].Shape, c.shape) || len(got) != len(c.want) {
			t.Errorf("%s: got shape %v and %d numbers, want %v", c.name, out[0].Shape, len(got), c.shape)
			continue
		}
		for i, want := range c.want {
			if slack := 0.51*min(1, math.Abs(float64(want))/50) + 0.0006; math.Abs(float64(got[i]-want)) > slack {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
}

// TestImageIsRaster holds the vectors to the same resampling in Go, to the last bit, on images and sizes of every kind.
func TestImageIsRaster(t *testing.T) {
	sizes := []int{1, 2, 3, 5, 16, 37, 64, 150}
	with := func(w, h int, crop, nhwc, bgr bool) string {
		fit, layout, order := "stretch", "nchw", "rgb"
		if crop {
			fit = "crop"
		}
		if nhwc {
			layout = "nhwc"
		}
		if bgr {
			order = "bgr"
		}
		return fmt.Sprintf(`{"width":%d,"height":%d,"fit":%q,"layout":%q,"order":%q,%s}`, w, h, fit, layout, order, asBytes)
	}
	check := func(rt *rapid.T, img raster.RGB, w, h int, crop, nhwc, bgr bool) {
		// Few configurations, since each one starts an instance.
		out := call(t, "image", sandbox.Call{
			Function: "prepare", With: json.RawMessage(with(w, h, crop, nhwc, bgr)),
			Inputs: []value.Value{value.Tensor(abi.UINT8, []int64{int64(img.H), int64(img.W), 3}, img.Pix)},
		})
		want := native(img, w, h, crop, nhwc, bgr)
		for i, got := range floats(out[0].Data) {
			if got != want[i] {
				rt.Fatalf("%dx%d to %dx%d, crop %v, nhwc %v, bgr %v: element %d: got %v, want %v", img.W, img.H, w, h, crop, nhwc, bgr, i, got, want[i])
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		img := raster.RGB{W: rapid.IntRange(1, 200).Draw(rt, "w"), H: rapid.IntRange(1, 120).Draw(rt, "h")}
		seed := rapid.Uint32().Draw(rt, "seed")
		img.Pix = make([]uint8, 3*img.W*img.H)
		for i := range img.Pix {
			seed = seed*1664525 + 1013904223
			img.Pix[i] = uint8(seed >> 24)
		}
		check(rt, img, rapid.SampledFrom(sizes).Draw(rt, "to w"), rapid.SampledFrom(sizes[:6]).Draw(rt, "to h"),
			rapid.Bool().Draw(rt, "crop"), rapid.Bool().Draw(rt, "nhwc"), rapid.Bool().Draw(rt, "bgr"))
	})
}

// native resamples with raster what the plugin resamples.
func native(img raster.RGB, w, h int, crop, nhwc, bgr bool) []float32 {
	dst := raster.Dst{W: w, H: h, Data: make([]float32, 3*w*h), Row: w, Plane: w * h, Step: 1, Order: raster.OrderRGB()}
	if nhwc {
		dst.Row, dst.Plane, dst.Step = 3*w, 1, 3
	}
	if bgr {
		dst.Order = raster.OrderBGR()
	}
	for c := range dst.Norm {
		dst.Norm[c] = raster.NewNorm(1, 0, 1)
	}
	win := img.Whole()
	if fw, fh := float64(img.W), float64(img.H); crop && img.W*h > img.H*w {
		keep := fh * float64(w) / float64(h)
		win.X0, win.X1 = (fw-keep)/2, (fw+keep)/2
	} else if crop {
		keep := fw * float64(h) / float64(w)
		win.Y0, win.Y1 = (fh-keep)/2, (fh+keep)/2
	}
	raster.Resize(img, win, dst, raster.Linear)
	return dst.Data
}

func TestImageRefuses(t *testing.T) {
	p := load(t, "image")
	for _, with := range []string{
		`{"mean":[1]}`, `{"std":[1,1,0]}`, `{"layout":"chw"}`, `{"size":0}`, `{"size":5000}`, `{"mean":[1,2,3,4]}`, `{"other":1}`, `{"scale":"1"}`,
	} {
		if err := p.ValidateWith("prepare", json.RawMessage(with)); err == nil {
			t.Errorf("%s: the schema takes it", with)
		}
	}
	for _, with := range []string{``, `{}`, `{"std":[1,1,0.5],"mean":[0,0,0],"fit":"crop","width":3,"height":4096}`} {
		if err := p.ValidateWith("prepare", json.RawMessage(with)); err != nil {
			t.Errorf("%s: %v", with, err)
		}
	}
	img := tensor(plugin.NewTensor[uint8](2, 2, 3))
	for with, input := range map[string]value.Value{
		`{"mean":[1]}`: img, `{"std":[1,1,0]}`: img, `{"size":100000}`: img, `{"mean":[1,2,3,4]}`: img, `{}`: tensor(plugin.NewTensor[uint8](0, 4, 3)),
	} {
		_, err := p.Call(t.Context(), sandbox.Call{Function: "prepare", With: json.RawMessage(with), Inputs: []value.Value{input}})
		if ce, ok := errors.AsType[*sandbox.CallError](err); !ok || ce.Kind != sandbox.KindStart && ce.Kind != sandbox.KindGuest {
			t.Errorf("%s: got %v, want the plugin to refuse it", with, err)
		}
	}
}

func BenchmarkImage(b *testing.B) {
	bench(b, "image", sandbox.Call{Function: "prepare", Lease: true, Inputs: []value.Value{tensor(plugin.NewTensor[uint8](480, 640, 3))}})
}
