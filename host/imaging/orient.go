package imaging

// orientation is EXIF's: what has to be done to the encoded rows to see the picture upright.
type orientation uint8

const (
	upright    orientation = 1 + iota
	flipH                  // mirrored left to right
	rotate180              // upside down
	flipV                  // mirrored top to bottom
	transpose              // mirrored along the diagonal from the top left
	rotate90               // to be turned clockwise
	transverse             // mirrored along the other diagonal
	rotate270              // to be turned counter-clockwise
)

// size returns the upright size of an image that is encoded as w by h pixels, or the other way round.
func (o orientation) size(w, h int) (int, int) {
	if o >= transpose {
		return h, w
	}
	return w, h
}

// steps returns where encoded pixel (x, y) of a w by h image goes: base + x*dx + y*dy, in pixels.
func (o orientation) steps(w, h int) (base, dx, dy int) {
	switch o {
	case flipH:
		return w - 1, -1, w
	case rotate180:
		return w*h - 1, -1, -w
	case flipV:
		return (h - 1) * w, 1, -w
	case transpose:
		return 0, h, 1
	case rotate90:
		return h - 1, h, -1
	case transverse:
		return w*h - 1, -h, -1
	case rotate270:
		return (w - 1) * h, -h, 1
	case upright:
	}
	return 0, 1, w
}
