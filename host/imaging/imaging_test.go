package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDecodeFiles compares with what another implementation read from the same files (testdata/make.py). Lossy formats
// leave room for another way to round and to spread chroma.
func TestDecodeFiles(t *testing.T) {
	wants, err := filepath.Glob("testdata/*.want.png")
	if err != nil || len(wants) < 25 {
		t.Fatalf("got %d files (%v), want at least 25", len(wants), err)
	}
	for _, want := range wants {
		name := strings.TrimSuffix(filepath.Base(want), ".want.png")
		t.Run(name, func(t *testing.T) {
			files, err := filepath.Glob("testdata/" + name + ".[a-z][a-z]*[a-z]")
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(read(t, files[0]), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			w, err := png.Decode(bytes.NewReader(read(t, want)))
			if err != nil {
				t.Fatal(err)
			}
			maxDiff, meanDiff := 1, 0.5
			if strings.HasPrefix(name, "jpeg") || name == "webp-lossy" || name == "webp-lossy-alpha" {
				maxDiff, meanDiff = 16, 3.5
			}
			compare(t, got, reference(w), maxDiff, meanDiff)
		})
	}
}

func TestDecodeTypes(t *testing.T) {
	for name, src := range sources(13, 7) {
		t.Run(name, func(t *testing.T) {
			got := &Image{W: 13, H: 7, Pix: make([]byte, 3*13*7)}
			convert(got.Pix, src, upright)
			compare(t, got, reference(src), 1, 1)
		})
	}
}

// TestYCbCr holds the shared-chroma loops against the standard library's own conversion, bit for bit.
func TestYCbCr(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		for _, r := range []image.Rectangle{image.Rect(0, 0, 1, 1), image.Rect(0, 0, 33, 9), image.Rect(3, 1, 20, 8), image.Rect(2, 3, 9, 8)} {
			t.Run(fmt.Sprint(ratio, r), func(t *testing.T) {
				whole := image.NewYCbCr(image.Rect(0, 0, 40, 20), ratio)
				fill(whole.Y, 3)
				fill(whole.Cb, 5)
				fill(whole.Cr, 7)
				m, ok := whole.SubImage(r).(*image.YCbCr)
				if !ok {
					t.Fatal("no YCbCr")
				}
				got := make([]byte, 3*r.Dx()*r.Dy())
				convert(got, m, upright)
				for y := range r.Dy() {
					for x := range r.Dx() {
						c := m.YCbCrAt(r.Min.X+x, r.Min.Y+y)
						cr, cg, cb := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
						at := 3 * (y*r.Dx() + x)
						if want := []byte{cr, cg, cb}; !bytes.Equal(got[at:at+3], want) {
							t.Fatalf("pixel %d,%d: got %v, want %v", x, y, got[at:at+3], want)
						}
					}
				}
			})
		}
	}
}

func TestRefused(t *testing.T) {
	photo := read(t, "testdata/jpeg-420.jpg")
	for _, tc := range []struct {
		name string
		data []byte
		lim  Limits
		want error
		text string
	}{
		{"empty", nil, Limits{}, ErrNotImage, "no bytes"},
		{"text", []byte("hello, this is no image"), Limits{}, ErrNotImage, `begin with "hello, this "`},
		{"pdf", []byte("%PDF-1.7\n"), Limits{}, ErrNotImage, "want JPEG, PNG, WebP or GIF"},
		{"bomb png", pngHeader(60000, 60000), Limits{}, ErrTooLarge, "60000x60000 pixels, at most 8000x8000"},
		{"bomb jpeg", jpegHeader(60000, 60000), Limits{}, ErrTooLarge, "60000x60000 pixels, at most 8000x8000"},
		{"bomb gif", gifHeader(60000, 60000), Limits{}, ErrTooLarge, "60000x60000 pixels"},
		{"bomb webp", webpHeader(16000, 16000), Limits{}, ErrTooLarge, "16000x16000 pixels"},
		{"wide", pngHeader(8001, 1), Limits{}, ErrTooLarge, "8001x1"},
		{"area", pngHeader(100, 100), Limits{MaxPixels: 9999}, ErrTooLarge, "10000 pixels, at most 9999"},
		{"bytes", photo, Limits{MaxBytes: 100}, ErrTooLarge, "at most 100"},
		{"zero png", pngHeader(0, 5), Limits{}, ErrDamaged, "png"},
		{"zero gif", gifHeader(0, 0), Limits{}, ErrDamaged, "0x0"},
		{"magic only", []byte("\x89PNG\r\n\x1a\n"), Limits{}, ErrDamaged, "ends too early"},
		{"half jpeg", photo[:len(photo)/2], Limits{}, ErrDamaged, "the jpeg ends too early"},
		{"jpeg header", photo[:30], Limits{}, ErrDamaged, "ends too early"},
		{"half webp", read(t, "testdata/webp-lossy.webp")[:100], Limits{}, ErrDamaged, "ends too early"},
		{"half gif", read(t, "testdata/gif-keyed.gif")[:300], Limits{}, ErrDamaged, "gif: not enough image data"},
		{"animated webp", read(t, "testdata/webp-animated.webp"), Limits{}, ErrNotImage, "animated WebP is not supported"},
		{"arithmetic jpeg", bytes.Replace(photo, []byte{0xff, 0xc0}, []byte{0xff, 0xc9}, 1), Limits{}, ErrNotImage, "not supported"},
		{"scans", manyScans(t), Limits{}, ErrTooLarge, "more than 100 scans"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img, err := Decode(tc.data, tc.lim)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("got %v (%v), want %v with %q", err, img, tc.want, tc.text)
			}
		})
	}
}

func TestInfo(t *testing.T) {
	for _, tc := range []struct {
		file string
		want Header
	}{
		{"jpeg-420.jpg", Header{Format: JPEG, W: 37, H: 23, PeakBytes: 37*23*6 + 1<<20, orient: upright}},
		{"jpeg-progressive.jpg", Header{Format: JPEG, W: 37, H: 23, PeakBytes: 37*23*18 + 1<<20, orient: upright}},
		{"jpeg-turn6.jpg", Header{Format: JPEG, W: 23, H: 37, PeakBytes: 37*23*6 + 1<<20, orient: rotate90}},
		{"png-alpha.png", Header{Format: PNG, W: 37, H: 23, PeakBytes: 37*23*7 + 1<<20, orient: upright}},
		{"webp-lossless.webp", Header{Format: WebP, W: 37, H: 23, PeakBytes: 37*23*7 + 1<<20, orient: upright}},
		{"gif-keyed.gif", Header{Format: GIF, W: 37, H: 23, PeakBytes: 37*23*4 + 1<<20, orient: upright}},
	} {
		got, err := Info(read(t, "testdata/"+tc.file), Limits{})
		if err != nil || got != tc.want {
			t.Errorf("%s: got %+v, %v, want %+v", tc.file, got, err, tc.want)
		}
	}
	if got := JPEG.MediaType(); got != "image/jpeg" {
		t.Errorf("got %q, want image/jpeg", got)
	}
}

// TestGIFFrame has a first frame that is smaller than the screen: the rest of the screen is white.
func TestGIFFrame(t *testing.T) {
	frame := image.NewPaletted(image.Rect(2, 1, 4, 3), color.Palette{color.RGBA{R: 200, A: 255}, color.RGBA{}})
	frame.Pix = []byte{0, 1, 0, 0}
	var buf bytes.Buffer
	err := gif.EncodeAll(&buf, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 5, Height: 4}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(buf.Bytes(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Image{W: 5, H: 4, Pix: bytes.Repeat([]byte{255}, 60)}
	for _, at := range []int{7, 12, 13} {
		copy(want.Pix[3*at:], []byte{200, 0, 0})
	}
	compare(t, got, want, 0, 0)
}

func TestEXIF(t *testing.T) {
	little := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00")
	big := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x08\x00\x00")
	insane := bytes.Clone(little)
	insane[18] = 77
	far := bytes.Clone(little)
	copy(far[4:], "\xff\xff\xff\xff")
	for _, tc := range []struct {
		name string
		tiff []byte
		want orientation
	}{
		{"little", little, rotate90},
		{"big", big, rotate270},
		{"insane", insane, upright},
		{"far", far, upright},
		{"cut", little[:15], upright},
		{"short", little[:5], upright},
		{"other", []byte("XX*\x00abcdefgh"), upright},
	} {
		if got := exifOrientation(tc.tiff); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestAllocations asserts that a decode copies nothing twice: the answer is the only allocation that conversion adds.
func TestAllocations(t *testing.T) {
	src := sources(64, 64)["rgba"]
	pix := make([]byte, 3*64*64)
	if got := testing.AllocsPerRun(10, func() { convert(pix, src, upright) }); got > 1 {
		t.Errorf("got %v allocations, want at most 1", got)
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if filepath.Ext(name) != ".py" {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add(pngHeader(60000, 60000))
	lim := Limits{MaxWidth: 300, MaxHeight: 300}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, infoErr := Info(data, lim)
		img, err := Decode(data, lim)
		if err != nil {
			if !errors.Is(err, ErrNotImage) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrDamaged) {
				t.Fatalf("got error %v of no kind", err)
			}
			return
		}
		if infoErr != nil || img.W != h.W || img.H != h.H || len(img.Pix) != 3*img.W*img.H || img.W > 300 || img.H > 300 {
			t.Fatalf("got %dx%d with %d bytes, header %+v, %v", img.W, img.H, len(img.Pix), h, infoErr)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	const w, h = 1920, 1080
	encoded := map[string][]byte{}
	var buf bytes.Buffer
	src := sources(w, h)
	if err := jpeg.Encode(&buf, src["gradient"], &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	encoded["jpeg"] = bytes.Clone(buf.Bytes())
	buf.Reset()
	if err := png.Encode(&buf, src["gradient"]); err != nil {
		b.Fatal(err)
	}
	encoded["png"] = buf.Bytes()
	for _, name := range []string{"jpeg", "png"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(3 * w * h)
			for b.Loop() {
				if _, err := Decode(encoded[name], Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkConvert(b *testing.B) {
	const w, h = 1920, 1080
	src, pix := sources(w, h), make([]byte, 3*w*h)
	for _, name := range []string{"ycbcr420", "smooth", "rgba", "nrgba", "gray", "paletted", "cmyk"} {
		for _, o := range []orientation{upright, rotate90} {
			b.Run(fmt.Sprintf("%s/turn%d", name, o), func(b *testing.B) {
				b.SetBytes(3 * w * h)
				for b.Loop() {
					convert(pix, src[name], o)
				}
			})
		}
	}
}
