package imaging

import "image"

// ycbcrRow writes row y of m, counted from its top, as RGB. The sums are color.YCbCrToRGB's, with the part that belongs to
// the chroma computed once for the pixels that share it.
func ycbcrRow(dst []byte, m *image.YCbCr, y int) {
	left, top := m.Rect.Min.X, m.Rect.Min.Y+y
	luma := m.Y[m.YOffset(left, top):][:m.Rect.Dx()]
	at := m.COffset(left, top)
	cb, cr := m.Cb[at:], m.Cr[at:]
	switch share := chromaShare(m.SubsampleRatio); {
	case share == 1:
		ycbcr1(dst, luma, cb, cr)
	case share == 2 && left%2 == 0:
		ycbcr2(dst, luma, cb, cr)
	default:
		ycbcrN(dst, luma, cb, cr, left, share)
	}
}

// chromaShare returns how many pixels of a row share one chroma sample.
func chromaShare(r image.YCbCrSubsampleRatio) int {
	switch r {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		return 2
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		return 4
	default: // 444 and 440
		return 1
	}
}

func ycbcr1(dst, luma, cb, cr []byte) {
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for i, l := range luma {
		r, g, b := chroma(cb[i], cr[i])
		d := dst[:3:3]
		put(d, l, r, g, b)
		dst = dst[3:]
	}
}

func ycbcr2(dst, luma, cb, cr []byte) {
	for len(luma) >= 2 {
		r, g, b := chroma(cb[0], cr[0])
		d := dst[:6:6]
		put(d, luma[0], r, g, b)
		put(d[3:], luma[1], r, g, b)
		dst, luma, cb, cr = dst[6:], luma[2:], cb[1:], cr[1:]
	}
	if len(luma) == 1 {
		r, g, b := chroma(cb[0], cr[0])
		put(dst, luma[0], r, g, b)
	}
}

// ycbcrN is for every other share; left is the column that luma begins at.
func ycbcrN(dst, luma, cb, cr []byte, left, share int) {
	for i, l := range luma {
		at := (left+i)/share - left/share
		r, g, b := chroma(cb[at], cr[at])
		put(dst, l, r, g, b)
		dst = dst[3:]
	}
}

// chroma returns what a chroma sample adds to red, green and blue, in 1/65536.
func chroma(cb, cr byte) (r, g, b int32) {
	u, v := int32(cb)-128, int32(cr)-128
	return 91881 * v, -22554*u - 46802*v, 116130 * u
}

// put writes one pixel of luma l and the chroma parts r, g, b.
func put(d []byte, l byte, r, g, b int32) {
	luma := int32(l) * 0x10101
	d[0], d[1], d[2] = clamp(luma+r), clamp(luma+g), clamp(luma+b)
}

// clamp returns v/65536 within a byte; min and max become conditional moves, which cost noisy images no mispredictions.
func clamp(v int32) byte {
	return byte(min(max(v, 0), 0xffffff) >> 16)
}
