package ocr

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/plugins/internal/raster"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

// picture is w by h, black, with a white rectangle.
func picture(w, h int, x, y, rw, rh int) plugin.Tensor[uint8] {
	t := plugin.NewTensor[uint8](int64(h), int64(w), 3)
	for j := y; j < y+rh; j++ {
		for i := x; i < x+rw; i++ {
			copy(t.Data[(j*w+i)*3:], []uint8{255, 255, 255})
		}
	}
	return t
}

// heatmap is w by h with a hot rectangle.
func heatmap(w, h int, x, y, rw, rh int) plugin.Tensor[float32] {
	t := plugin.NewTensor[float32](1, 1, int64(h), int64(w))
	for j := y; j < y+rh; j++ {
		for i := x; i < x+rw; i++ {
			t.Data[j*w+i] = 0.95
		}
	}
	return t
}

func scale(x, y float32) plugin.Tensor[float32] { return plugin.Of([]float32{x, y}, 2) }

func TestPrepareDetect(t *testing.T) {
	for _, c := range []struct{ w, h, toW, toH int }{
		{32, 32, 32, 32},
		{1, 1, 32, 32},
		{960, 480, 960, 480},
		{1000, 500, 960, 480},
		{4000, 3000, 960, 736}, // 720 is halfway between 704 and 736
		{100, 33, 96, 32},
		{8000, 40, 960, 32},
	} {
		out, err := PrepareDetect(plugintest.Context(), PrepareDetectIn{picture(c.w, c.h, 0, 0, c.w, c.h)}, PrepareDetectWith{MaxSide: 960})
		if err != nil {
			t.Fatal(err)
		}
		if err := out.X.Check(); err != nil || out.X.Dim(3) != c.toW || out.X.Dim(2) != c.toH {
			t.Errorf("%dx%d: got %v, %v, want %dx%d", c.w, c.h, out.X.Shape, err, c.toW, c.toH)
			continue
		}
		if sx := float32(c.w) / float32(c.toW); out.Scale.Data[0] != sx {
			t.Errorf("%dx%d: got scale %v, want %v", c.w, c.h, out.Scale.Data, sx)
		}
		plane := c.toW * c.toH
		for ch, want := range []float64{(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225} {
			if got := float64(out.X.Data[ch*plane+plane/2]); math.Abs(got-want) > 1e-5 {
				t.Errorf("channel %d: got %v, want %v", ch, got, want)
			}
		}
	}
	for _, bad := range []plugin.Tensor[uint8]{{}, plugin.NewTensor[uint8](0, 0, 3), plugin.NewTensor[uint8](4, 4)} {
		if _, err := PrepareDetect(plugintest.Context(), PrepareDetectIn{bad}, PrepareDetectWith{MaxSide: 960}); err == nil {
			t.Errorf("%v: got no error", bad.Shape)
		}
	}
}

func TestCutLines(t *testing.T) {
	with := plugintest.With[CutLinesWith](t, "")
	out, err := CutLines(plugintest.Context(), CutLinesIn{
		Image: picture(400, 200, 100, 80, 200, 40), Heat: heatmap(200, 100, 52, 42, 96, 16), Scale: scale(2, 2),
	}, with)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Lines) != 1 || len(out.Turns) != 1 || out.Boxes.Dim(0) != 1 {
		t.Fatalf("got %d lines, %d turns, boxes %v", len(out.Lines), len(out.Turns), out.Boxes.Shape)
	}
	// 95 by 15 grown by 95*15*1.5/220 on each side, times 2.
	d := 2 * 95 * 15 * 1.5 / 220
	want := box(math.Round(104-d), math.Round(84-d), math.Round(294+d)-math.Round(104-d), math.Round(114+d)-math.Round(84-d))
	for i, p := range want {
		if x, y := float64(out.Boxes.Data[2*i]), float64(out.Boxes.Data[2*i+1]); x != p.x || y != p.y {
			t.Errorf("corner %d: got %v %v, want %v", i, x, y, p)
		}
	}
	w := int(math.Ceil(48 * (want[1].x - want[0].x) / (want[3].y - want[0].y)))
	line := out.Lines[0]
	if line.Check() != nil || line.Dim(3) != w {
		t.Errorf("got %v, want width %d", line.Shape, w)
	}
	if line.Data[24*w+w/2] != 1 || line.Data[0] != -1 {
		t.Errorf("got %v in the middle and %v in the corner, want 1 and -1", line.Data[24*w+w/2], line.Data[0])
	}
	if turn := out.Turns[0]; turn.Check() != nil || turn.Dim(3) != 192 {
		t.Errorf("got %v for the angle classifier", out.Turns[0].Shape)
	}
}

func TestCutNothing(t *testing.T) {
	out, err := CutLines(plugintest.Context(), CutLinesIn{
		Image: picture(64, 64, 0, 0, 0, 0), Heat: plugin.NewTensor[float32](1, 1, 64, 64), Scale: scale(1, 1),
	}, plugintest.With[CutLinesWith](t, ""))
	if err != nil || len(out.Lines) != 0 || len(out.Turns) != 0 || out.Boxes.Check() != nil || out.Boxes.Dim(0) != 0 {
		t.Errorf("got %+v, %v", out, err)
	}
}

// TestCutTurned reads a line that runs downwards: what is lower in the image is further right in the line.
func TestCutTurned(t *testing.T) {
	img := raster.RGB{W: 60, H: 200, Pix: picture(60, 200, 0, 150, 60, 50).Data}
	c := newCut(box(10, 0, 40, 200))
	n := raster.NewNorm(1, 0, 1)
	w := c.lineWidth()
	line := c.take(img, w, w, n)
	if w != 240 || line.Data[24*w+10] != 0 || line.Data[24*w+w-10] != 255 {
		t.Errorf("%d wide: got %v at the left and %v at the right, want 0 and 255", w, line.Data[24*w+10], line.Data[24*w+w-10])
	}
}

// TestCutTilted reads along a line at 45 degrees.
func TestCutTilted(t *testing.T) {
	img := raster.RGB{W: 100, H: 100, Pix: make([]uint8, 100*100*3)}
	for i := range 100 {
		for d := -3; d <= 3; d++ {
			if j := i + d; j >= 0 && j < 100 {
				copy(img.Pix[(j*100+i)*3:], []uint8{255, 255, 255})
			}
		}
	}
	s := math.Sqrt(0.5)
	c := newCut(rect{centre: point{50, 50}, along: point{s, s}, length: 80, width: 20}.corners())
	w := c.lineWidth()
	line := c.take(img, w, w, raster.NewNorm(1, 0, 1))
	for x := 5; x < w-5; x++ {
		if line.Data[24*w+x] != 255 || line.Data[2*w+x] != 0 {
			t.Fatalf("column %d: got %v in the middle and %v at the top", x, line.Data[24*w+x], line.Data[2*w+x])
		}
	}
}

func TestCutTooMuch(t *testing.T) {
	boxes := make([]quad, 200)
	for i := range boxes {
		boxes[i] = box(0, float64(10*i), 8000, 4)
	}
	_, err := cutAll(raster.RGB{W: 8000, H: 4000, Pix: make([]uint8, 8000*4000*3)}, boxes)
	if err == nil || !strings.Contains(err.Error(), "max_lines") {
		t.Errorf("got %v", err)
	}
}

func TestCutLinesRefuses(t *testing.T) {
	good := CutLinesIn{Image: picture(64, 64, 0, 0, 0, 0), Heat: plugin.NewTensor[float32](1, 1, 64, 64), Scale: scale(1, 1)}
	for name, change := range map[string]func(*CutLinesIn){
		"image": func(in *CutLinesIn) { in.Image = plugin.Tensor[uint8]{} },
		"heat":  func(in *CutLinesIn) { in.Heat.Shape = []int64{1, 1, 64, 65} },
		"scale": func(in *CutLinesIn) { in.Scale = plugin.NewTensor[float32](1) },
	} {
		in := good
		change(&in)
		if _, err := CutLines(plugintest.Context(), in, plugintest.With[CutLinesWith](t, "")); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestScaleThatIsNoNumber: broken scales from elsewhere must end in an answer or an error.
func TestScaleThatIsNoNumber(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, s := range []plugin.Tensor[float32]{scale(nan, nan), scale(inf, 1), scale(0, 0), scale(-1, -1), scale(1e30, 1e-30)} {
		_, _ = CutLines(plugintest.Context(), CutLinesIn{
			Image: picture(400, 200, 100, 80, 200, 40), Heat: heatmap(200, 100, 52, 42, 96, 16), Scale: s,
		}, plugintest.With[CutLinesWith](t, ""))
	}
}

// TestCutAnything: whatever the detector says, the answer is whole.
func TestCutAnything(t *testing.T) {
	with := plugintest.With[CutLinesWith](t, "")
	heats := rapid.OneOf(rapid.Just(float32(0.9)), rapid.Just(float32(0)), rapid.Float32())
	rapid.Check(t, func(rt *rapid.T) {
		w, h := rapid.IntRange(1, 40).Draw(rt, "w"), rapid.IntRange(1, 40).Draw(rt, "h")
		heat := plugin.NewTensor[float32](1, 1, int64(h), int64(w))
		for range rapid.IntRange(0, 12).Draw(rt, "patches") {
			x, y := rapid.IntRange(0, w-1).Draw(rt, "x"), rapid.IntRange(0, h-1).Draw(rt, "y")
			tall, wide := rapid.IntRange(1, 12).Draw(rt, "tall"), rapid.IntRange(1, 20).Draw(rt, "wide")
			v, slope := heats.Draw(rt, "v"), rapid.IntRange(-2, 2).Draw(rt, "slope")
			for j := range tall {
				for i := range wide {
					if px, py := x+i, y+j+i*slope/4; px < w && py >= 0 && py < h {
						heat.Data[py*w+px] = v
					}
				}
			}
		}
		iw, ih := rapid.IntRange(1, 60).Draw(rt, "iw"), rapid.IntRange(1, 60).Draw(rt, "ih")
		out, err := CutLines(plugintest.Context(), CutLinesIn{
			Image: picture(iw, ih, 0, 0, iw, ih/2), Heat: heat, Scale: scale(float32(iw)/float32(w), float32(ih)/float32(h)),
		}, with)
		if err != nil {
			rt.Fatal(err)
		}
		if len(out.Lines) != len(out.Turns) || len(out.Lines) != out.Boxes.Dim(0) || out.Boxes.Check() != nil {
			rt.Fatalf("got %d lines, %d turns, boxes %v", len(out.Lines), len(out.Turns), out.Boxes.Shape)
		}
		for i := range out.Lines {
			if out.Lines[i].Check() != nil || out.Turns[i].Check() != nil || out.Lines[i].Dim(3) < 1 {
				rt.Fatalf("line %d: %v, %v", i, out.Lines[i].Shape, out.Turns[i].Shape)
			}
			for _, v := range out.Lines[i].Data {
				if !(v >= -1 && v <= 1) {
					rt.Fatalf("line %d holds %v", i, v)
				}
			}
		}
		for i, v := range out.Boxes.Data {
			if most := []int{iw, ih}[i%2]; v < 0 || v > float32(most) {
				rt.Fatalf("a corner at %v in an image of %d by %d", v, iw, ih)
			}
		}
	})
}
