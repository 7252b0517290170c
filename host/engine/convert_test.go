package engine_test

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"testing"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/host/value"
)

const pixels = `
graph: g
inputs: {photo: image}
outputs: {a: {from: a.s}, b: {from: b.s}}
nodes:
  a: {plugin: p, call: pixels, in: {image: photo}}
  b: {plugin: p, call: pixels, in: {image: photo}}
`

func photo(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestImageBecomesPixels(t *testing.T) {
	rel := texts().build(t, pixels)
	for _, v := range []value.Value{value.Image(photo(t, 5, 4), ""), value.Bytes(photo(t, 5, 4), "image/png")} {
		res, err := engine.New(engine.Config{}).Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"photo": v}})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			if got := string(res.Outputs[name].Data); got != "[4,5,3]60" {
				t.Fatalf("%s: got %s, want [4,5,3]60", name, got)
			}
		}
	}
}

func TestBadImages(t *testing.T) {
	rel := texts().build(t, pixels)
	limits := imaging.Limits{MaxWidth: 100, MaxHeight: 100}
	for name, data := range map[string][]byte{
		"no image":  []byte("hello"),
		"cut off":   photo(t, 50, 50)[:60],
		"too large": photo(t, 101, 1),
		"empty":     {},
	} {
		_, err := engine.New(engine.Config{Images: limits}).Run(t.Context(), rel, engine.Request{Inputs: map[string]value.Value{"photo": value.Image(data, "")}})
		var e *engine.Error
		if !errors.As(err, &e) || e.Reason != engine.ReasonImage || e.Port != "image" {
			t.Errorf("%s: got %v, want an image error at port image", name, err)
		}
	}
}
