package imaging

import "fmt"

// The default limits. A decoded image of DefaultMaxPixels takes 192 MB.
const (
	DefaultMaxSide   = 8000
	DefaultMaxPixels = DefaultMaxSide * DefaultMaxSide
	DefaultMaxBytes  = 128 << 20
)

// Limits bounds what is decoded. The zero Limits has the defaults; a field that is zero or less has its own.
type Limits struct {
	// MaxWidth and MaxHeight are in pixels, as encoded. Default: DefaultMaxSide.
	MaxWidth, MaxHeight int
	// MaxPixels bounds width times height. Default: DefaultMaxPixels.
	MaxPixels int64
	// MaxBytes bounds the encoded image. Default: DefaultMaxBytes.
	MaxBytes int64
}

func (l Limits) withDefaults() Limits {
	if l.MaxWidth <= 0 {
		l.MaxWidth = DefaultMaxSide
	}
	if l.MaxHeight <= 0 {
		l.MaxHeight = DefaultMaxSide
	}
	if l.MaxPixels <= 0 {
		l.MaxPixels = DefaultMaxPixels
	}
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	return l
}

// check holds the size that a header claims against l, which has its defaults.
func (l Limits) check(f Format, w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("%w: the %s header says %dx%d pixels", ErrDamaged, f, w, h)
	}
	if w > l.MaxWidth || h > l.MaxHeight {
		return fmt.Errorf("%w: the %s header says %dx%d pixels, at most %dx%d are allowed", ErrTooLarge, f, w, h, l.MaxWidth, l.MaxHeight)
	}
	if n := int64(w) * int64(h); n > l.MaxPixels {
		return fmt.Errorf("%w: the %s header says %dx%d, %d pixels, at most %d are allowed", ErrTooLarge, f, w, h, n, l.MaxPixels)
	}
	return nil
}
