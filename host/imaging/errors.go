package imaging

import (
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
)

// Errors of this package; test with errors.Is.
var (
	// ErrNotImage: the bytes are no JPEG, PNG, WebP or GIF, or one with a feature that is not decoded.
	ErrNotImage = errors.New("not an image that can be read")
	// ErrTooLarge: the image goes beyond the limits.
	ErrTooLarge = errors.New("image is too large")
	// ErrDamaged: the bytes begin as an image but do not go on as one.
	ErrDamaged = errors.New("image is damaged")
)

var errAnimated = errors.New("animated WebP")

// decodeError says what a decoder's error means for the caller. The cause is text only: it is not part of the contract.
func decodeError(f Format, err error) error {
	var (
		jpegLack jpeg.UnsupportedError
		pngLack  png.UnsupportedError
	)
	switch {
	case errors.As(err, &jpegLack), errors.As(err, &pngLack), errors.Is(err, errAnimated):
		return fmt.Errorf("%w: %s is not supported", ErrNotImage, err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the %s ends too early", ErrDamaged, f)
	}
	return fmt.Errorf("%w: %s: %s", ErrDamaged, f, strings.TrimPrefix(err.Error(), string(f)+": "))
}

// describe says what data begins with, for somebody who sent the wrong thing.
func describe(data []byte) string {
	const want = "want JPEG, PNG, WebP or GIF"
	if len(data) == 0 {
		return "no bytes; " + want
	}
	return fmt.Sprintf("%d bytes that begin with %q; %s", len(data), data[:min(len(data), 12)], want)
}
