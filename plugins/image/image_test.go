package image

import (
	"math"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestPlugin(t *testing.T) { plugintest.Check(t, Plugin()) }

// bytes maps bytes to themselves.
const bytes = `"scale":1,"mean":[0,0,0],"std":[1,1,1]`

func TestPrepare(t *testing.T) {
	// Two pixels wide, one high: red, then blue.
	img := plugin.Of([]uint8{200, 10, 0, 0, 20, 100}, 1, 2, 3)
	for _, c := range []struct {
		name, with string
		shape      []int64
		want       []float32
	}{
		{"as it is", `{"width":2,"height":1,` + bytes + `}`, []int64{1, 3, 1, 2}, []float32{200, 0, 10, 20, 0, 100}},
		{"nhwc", `{"width":2,"height":1,"layout":"nhwc",` + bytes + `}`, []int64{1, 1, 2, 3}, []float32{200, 10, 0, 0, 20, 100}},
		{"bgr", `{"width":2,"height":1,"order":"bgr",` + bytes + `}`, []int64{1, 3, 1, 2}, []float32{0, 100, 10, 20, 200, 0}},
		{"stretched", `{"size":1,` + bytes + `}`, []int64{1, 3, 1, 1}, []float32{100, 15, 50}},
		{
			"enlarged", `{"width":4,"height":1,` + bytes + `}`,
			[]int64{1, 3, 1, 4},
			[]float32{200, 150, 50, 0, 10, 13, 18, 20, 0, 25, 75, 100},
		},
		{
			"cropped", `{"width":1,"height":1,"fit":"crop",` + bytes + `}`, []int64{1, 3, 1, 1}, []float32{100, 15, 50},
		},
		{
			"normalised", `{"width":2,"height":1}`,
			[]int64{1, 3, 1, 2},
			[]float32{1.3070, -2.1179, -1.8606, -1.6856, -1.8044, -0.0615},
		},
	} {
		out, err := Prepare(plugintest.Context(), PrepareIn{img}, plugintest.With[PrepareWith](t, c.with))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := out.X.Check(); err != nil || len(out.X.Data) != len(c.want) {
			t.Errorf("%s: got shape %v, %v", c.name, out.X.Shape, err)
			continue
		}
		for i := range c.shape {
			if out.X.Shape[i] != c.shape[i] {
				t.Errorf("%s: got shape %v, want %v", c.name, out.X.Shape, c.shape)
				break
			}
		}
		for i := range c.want {
			if math.Abs(float64(out.X.Data[i]-c.want[i])) > 0.51*math.Min(1, math.Abs(float64(c.want[i]))/50+0.001) {
				t.Errorf("%s: got %v, want %v", c.name, out.X.Data, c.want)
				break
			}
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		w, h, toW, toH int
		want           [4]float64
	}{
		{100, 50, 10, 10, [4]float64{25, 0, 75, 50}},
		{50, 100, 10, 10, [4]float64{0, 25, 50, 75}},
		{100, 100, 20, 10, [4]float64{0, 25, 100, 75}},
		{100, 50, 20, 10, [4]float64{0, 0, 100, 50}},
	} {
		w := middle(c.w, c.h, c.toW, c.toH)
		if got := [4]float64{w.X0, w.Y0, w.X1, w.Y1}; got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	with := plugintest.With[PrepareWith](t, "")
	for _, img := range []plugin.Tensor[uint8]{{}, plugin.NewTensor[uint8](0, 4, 3), plugin.NewTensor[uint8](2, 2, 4)} {
		if _, err := Prepare(plugintest.Context(), PrepareIn{img}, with); err == nil {
			t.Errorf("%v: got no error", img.Shape)
		}
	}
	for _, doc := range []string{`{"mean":[1]}`, `{"std":[1,1,0]}`, `{"layout":"chw"}`} {
		if _, err := plugin.DecodeWith[PrepareWith]([]byte(doc)); err == nil {
			t.Errorf("%s: got no error", doc)
		}
	}
}
