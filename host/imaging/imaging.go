// Package imaging decodes images natively for nodes that want pixels: JPEG, PNG, WebP and the first frame of a GIF become
// 8-bit RGB. Dimensions are read from the header and held against limits before a pixel is decoded. The standard
// decoders do the work; what is here is the limits, the upright turn of photographs and the conversion to RGB in one pass.
// It has no goroutines, no locks and no state; all functions may be called concurrently.
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

	"golang.org/x/image/webp"
)

// Format is how an image is encoded.
type Format string

// The formats that are decoded.
const (
	JPEG Format = "jpeg"
	PNG  Format = "png"
	WebP Format = "webp"
	GIF  Format = "gif"
)

// MediaType returns f's media type, for example "image/jpeg".
func (f Format) MediaType() string { return "image/" + string(f) }

// Image is a decoded image: W by H pixels of 8-bit red, green and blue, rows from top to bottom without padding, which is
// a UINT8 tensor of shape [H, W, 3]. The caller owns Pix.
type Image struct {
	W, H int
	Pix  []byte
}

// Header is what the first bytes of an image say about it.
type Header struct {
	Format Format
	// W and H are in pixels, upright: after the turn that a photograph asks for.
	W, H int
	// PeakBytes estimates the memory that Decode needs at its peak, the answer included.
	PeakBytes int64

	orient orientation
}

// Sniff tells the format from the first bytes of data; ok is false when it is none of ours. It does not look further.
func Sniff(data []byte) (f Format, ok bool) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return JPEG, true
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return PNG, true
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return GIF, true
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return WebP, true
	}
	return "", false
}

// Info reads the header of the encoded image data and holds it against lim without decoding a pixel. Errors are those of
// Decode; an image whose header is good may still be damaged.
func Info(data []byte, lim Limits) (Header, error) {
	lim = lim.withDefaults()
	if int64(len(data)) > lim.MaxBytes {
		return Header{}, fmt.Errorf("%w: %d bytes encoded, at most %d are allowed", ErrTooLarge, len(data), lim.MaxBytes)
	}
	f, ok := Sniff(data)
	if !ok {
		return Header{}, fmt.Errorf("%w: %s", ErrNotImage, describe(data))
	}
	h := Header{Format: f, orient: upright}
	kept := int64(1) // what the decoder keeps of each sample, in bytes
	if f == JPEG {
		j := readJPEG(data)
		if err := j.check(lim); err != nil {
			return Header{}, err
		}
		h.orient = j.orient
		if j.progressive {
			kept = 5 // a 32-bit coefficient beside the sample
		}
	}
	c, err := config(f, data)
	if err != nil {
		return Header{}, decodeError(f, err)
	}
	if err := lim.check(f, c.Width, c.Height); err != nil {
		return Header{}, err
	}
	h.PeakBytes = int64(c.Width)*int64(c.Height)*(kept*sampleBytes(c.ColorModel)+3) + 1<<20
	h.W, h.H = h.orient.size(c.Width, c.Height)
	return h, nil
}

// Decode decodes the encoded image data into RGB. What is transparent lies over white, photographs are turned upright as
// their EXIF orientation says, 16-bit samples are scaled to 8, colour profiles are ignored. data is not kept.
//
// # Errors
//
// ErrNotImage, ErrTooLarge or ErrDamaged, testable with errors.Is; the text is meant for the caller who sent the image.
func Decode(data []byte, lim Limits) (img *Image, err error) {
	// The decoders are memory safe but have panicked on hostile files before; that is the file's fault, and a node's
	// goroutine must not take the process down for it.
	defer func() {
		if r := recover(); r != nil {
			img, err = nil, fmt.Errorf("%w: the decoder gave up: %v", ErrDamaged, r)
		}
	}()
	return decode(data, lim)
}

func decode(data []byte, lim Limits) (*Image, error) {
	h, err := Info(data, lim)
	if err != nil {
		return nil, err
	}
	src, err := pixels(h.Format, data)
	if err != nil {
		return nil, decodeError(h.Format, err)
	}
	img := &Image{W: h.W, H: h.H, Pix: make([]byte, 3*h.W*h.H)}
	w, ht := h.orient.size(h.W, h.H) // as encoded: turning twice the same way is none for the size
	if src.Bounds() != image.Rect(0, 0, w, ht) {
		if h.Format != GIF {
			return nil, fmt.Errorf("%w: the header says %dx%d, the pixels are %dx%d", ErrDamaged, w, ht, src.Bounds().Dx(), src.Bounds().Dy())
		}
		return img, paste(img, src)
	}
	convert(img.Pix, src, h.orient)
	return img, nil
}

// paste puts a GIF's first frame, which may be smaller than its screen, on a white screen.
func paste(screen *Image, frame image.Image) error {
	b := frame.Bounds()
	if !b.In(image.Rect(0, 0, screen.W, screen.H)) {
		return fmt.Errorf("%w: the frame lies outside of the screen", ErrDamaged)
	}
	for i := range screen.Pix {
		screen.Pix[i] = 0xff
	}
	row := rowReader(frame)
	for y := range b.Dy() {
		at := 3 * ((b.Min.Y+y)*screen.W + b.Min.X)
		row(screen.Pix[at:at+3*b.Dx()], y)
	}
	return nil
}

func config(f Format, data []byte) (image.Config, error) {
	r := bytes.NewReader(data)
	switch f {
	case JPEG:
		return jpeg.DecodeConfig(r)
	case PNG:
		return png.DecodeConfig(r)
	case GIF:
		return gif.DecodeConfig(r)
	case WebP:
		if animated(data) {
			return image.Config{}, errAnimated
		}
		return webp.DecodeConfig(r)
	}
	return image.Config{}, errors.ErrUnsupported
}

func pixels(f Format, data []byte) (image.Image, error) {
	r := bytes.NewReader(data)
	switch f {
	case JPEG:
		return jpeg.Decode(r)
	case PNG:
		return png.Decode(r)
	case GIF:
		return gif.Decode(r)
	case WebP:
		return webp.Decode(r)
	}
	return nil, errors.ErrUnsupported
}

// animated reports whether a WebP file has the animation flag, which the decoder takes for damage.
func animated(data []byte) bool {
	return len(data) > 20 && string(data[12:16]) == "VP8X" && data[20]&2 != 0
}

// sampleBytes returns the bytes per pixel that the standard decoders keep for a colour model.
func sampleBytes(m color.Model) int64 {
	switch m {
	case color.GrayModel:
		return 1
	case color.Gray16Model:
		return 2
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	case color.YCbCrModel:
		return 3
	}
	if _, ok := m.(color.Palette); ok {
		return 1
	}
	return 4
}
