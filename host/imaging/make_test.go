package imaging

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"os"
	"testing"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fill writes bytes that differ from each other and take all values.
func fill(b []byte, seed uint32) {
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
}

// plain hides the type of an image, so that it is converted pixel by pixel.
type plain struct{ image.Image }

// sources returns an image of every type that is converted, w by h pixels.
func sources(w, h int) map[string]image.Image {
	r := image.Rect(0, 0, w, h)
	gray, gray16 := image.NewGray(r), image.NewGray16(r)
	rgba, nrgba := image.NewRGBA(r), image.NewNRGBA(r)
	rgba64, nrgba64 := image.NewRGBA64(r), image.NewNRGBA64(r)
	cmyk, paletted := image.NewCMYK(r), image.NewPaletted(r, palette.WebSafe)
	ycbcr, nycbcra := image.NewYCbCr(r, image.YCbCrSubsampleRatio420), image.NewNYCbCrA(r, image.YCbCrSubsampleRatio420)
	gradient, smooth := image.NewRGBA(r), image.NewYCbCr(r, image.YCbCrSubsampleRatio420)
	for i, pix := range [][]byte{
		gray.Pix, gray16.Pix, nrgba.Pix, nrgba64.Pix, cmyk.Pix, paletted.Pix, ycbcr.Y, ycbcr.Cb, ycbcr.Cr,
		nycbcra.Y, nycbcra.Cb, nycbcra.Cr, nycbcra.A,
	} {
		fill(pix, uint32(i))
	}
	for i := range paletted.Pix {
		paletted.Pix[i] %= byte(len(palette.WebSafe))
	}
	for i := range smooth.Y {
		smooth.Y[i] = byte(40 + i%150)
	}
	for i := range smooth.Cb {
		smooth.Cb[i], smooth.Cr[i] = byte(100+i%50), byte(110+i%30)
	}
	for y := range h {
		for x := range w {
			rgba.Set(x, y, nrgba.At(x, y))
			rgba64.Set(x, y, nrgba64.At(x, y))
			gradient.SetRGBA(x, y, color.RGBA{R: byte(x), G: byte(y), B: byte(x*y>>8) ^ byte(x>>3), A: 255})
		}
	}
	return map[string]image.Image{
		"gray": gray, "gray16": gray16, "rgba": rgba, "nrgba": nrgba, "rgba64": rgba64, "nrgba64": nrgba64, "cmyk": cmyk,
		"paletted": paletted, "ycbcr420": ycbcr, "nycbcra": nycbcra, "gradient": gradient, "smooth": smooth, "plain": plain{nrgba},
	}
}

// reference converts src pixel by pixel through the standard library's colours.
func reference(src image.Image) *Image {
	b := src.Bounds()
	img := &Image{W: b.Dx(), H: b.Dy()}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, a := src.At(x, y).RGBA()
			lack := 0xffff - a
			img.Pix = append(img.Pix, byte((r+lack)>>8), byte((g+lack)>>8), byte((bl+lack)>>8))
		}
	}
	return img
}

// compare fails when any sample differs by more than maxDiff or all by more than meanDiff on average.
func compare(t *testing.T, got, want *Image, maxDiff int, meanDiff float64) {
	t.Helper()
	if got.W != want.W || got.H != want.H || len(got.Pix) != len(want.Pix) {
		t.Fatalf("got %dx%d (%d bytes), want %dx%d (%d bytes)", got.W, got.H, len(got.Pix), want.W, want.H, len(want.Pix))
	}
	worst, at, sum := 0, 0, 0
	for i := range got.Pix {
		d := int(got.Pix[i]) - int(want.Pix[i])
		d = max(d, -d)
		sum += d
		if d > worst {
			worst, at = d, i
		}
	}
	mean := float64(sum) / float64(len(got.Pix))
	if worst > maxDiff || mean > meanDiff {
		t.Errorf("got a difference of up to %d (at %d,%d) and %.2f on average, want at most %d and %.2f",
			worst, at/3%got.W, at/3/got.W, mean, maxDiff, meanDiff)
	}
}

func pngHeader(w, h uint32) []byte {
	body := []byte("IHDR")
	body = binary.BigEndian.AppendUint32(body, w)
	body = binary.BigEndian.AppendUint32(body, h)
	body = append(body, 8, 2, 0, 0, 0)
	data := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	return binary.BigEndian.AppendUint32(append(data, body...), crc32.ChecksumIEEE(body))
}

func jpegHeader(w, h uint16) []byte {
	data := []byte{0xff, 0xd8, 0xff, 0xc0, 0, 17, 8}
	data = binary.BigEndian.AppendUint16(data, h)
	data = binary.BigEndian.AppendUint16(data, w)
	return append(data, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1)
}

func gifHeader(w, h uint16) []byte {
	data := binary.LittleEndian.AppendUint16([]byte("GIF89a"), w)
	return append(binary.LittleEndian.AppendUint16(data, h), 0, 0, 0)
}

// webpHeader is a lossless WebP's; sizes go up to 16384.
func webpHeader(w, h uint32) []byte {
	data := append([]byte("RIFF\x12\x00\x00\x00WEBPVP8L\x05\x00\x00\x00"), 0x2f)
	return append(binary.LittleEndian.AppendUint32(data, (w-1)|(h-1)<<14), 0)
}

// manyScans is a progressive JPEG with its last scan over and over.
func manyScans(t *testing.T) []byte {
	t.Helper()
	data := read(t, "testdata/jpeg-progressive.jpg")
	last := bytes.LastIndex(data, []byte{0xff, 0xda})
	scan := bytes.Clone(data[last : len(data)-2])
	for range maxScans {
		data = append(data[:len(data)-2], append(bytes.Clone(scan), 0xff, 0xd9)...)
	}
	return data
}
