// Package images is the suite that times the decoding of images on the host, from small to the largest that is allowed.
package images

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"time"

	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
)

// Suite returns the suite.
func Suite() report.Suite {
	return report.Suite{Name: "images", Doc: "decode JPEG and PNG of several sizes to RGB, one at a time", Run: run}
}

// targets are times per decode on a machine with 2 cores; the largest takes what 64 million pixels take.
var sizes = []struct {
	w, h   int
	target time.Duration
}{
	{224, 224, 5 * time.Millisecond},
	{1920, 1080, 120 * time.Millisecond},
	{8000, 8000, 4 * time.Second},
}

func run(ctx context.Context, r *report.Report) error {
	for _, s := range sizes {
		if r.Quick && s.w > 2000 {
			continue
		}
		src := page(s.w, s.h)
		for _, f := range []struct {
			name   string
			encode func(io.Writer, image.Image) error
		}{
			{"jpeg", func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 90}) }},
			{"png", png.Encode},
		} {
			var buf bytes.Buffer
			if err := f.encode(&buf, src); err != nil {
				return fmt.Errorf("encode a %s: %w", f.name, err)
			}
			if err := measure(ctx, r, fmt.Sprintf("%s %dx%d", f.name, s.w, s.h), buf.Bytes(), s.target); err != nil {
				return err
			}
		}
	}
	return nil
}

func measure(ctx context.Context, r *report.Report, name string, data []byte, target time.Duration) error {
	loop := load.Loop{Duration: 2 * time.Second, MinCalls: 1}
	if r.Quick {
		loop.Duration = 50 * time.Millisecond
	}
	res, err := loop.Run(ctx, func(context.Context, int) error {
		_, err := imaging.Decode(data, imaging.Limits{})
		return err
	})
	if err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	r.AtMost(name+" p50", load.Milliseconds(res.Latency.Quantile(.5)), "ms", load.Milliseconds(target))
	r.Add(name+" encoded", float64(len(data)), "bytes")
	return nil
}

// page draws something like a printed page: a light ground with a soft shade and dark strokes.
func page(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{R: byte(235 - x*20/w), G: byte(235 - y*20/h), B: 225, A: 255}
			if y%24 < 12 && (x*7+y/24*31)%40 < 14 {
				c = color.RGBA{R: 30, G: 30, B: byte(40 + x%16), A: 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}
