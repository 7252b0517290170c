package imaging

import (
	"image"
	"image/color"
)

// convert writes src as RGB into pix, turned by o. pix has three bytes for every pixel.
func convert(pix []byte, src image.Image, o orientation) {
	w, h := src.Bounds().Dx(), src.Bounds().Dy()
	row := rowReader(src)
	if o == upright {
		for y := range h {
			row(pix[3*w*y:3*w*(y+1)], y)
		}
		return
	}
	line := make([]byte, 3*w)
	base, dx, dy := o.steps(w, h)
	for y := range h {
		row(line, y)
		at := 3 * (base + y*dy)
		for x := 0; x < len(line); x += 3 {
			d := pix[at : at+3 : at+3]
			d[0], d[1], d[2] = line[x], line[x+1], line[x+2]
			at += 3 * dx
		}
	}
}

// rowReader returns a function that writes row y of src, counted from its top, as RGB to dst, which has three bytes for
// every pixel of a row. What is transparent is laid over white.
func rowReader(src image.Image) func(dst []byte, y int) {
	w := src.Bounds().Dx()
	switch m := src.(type) {
	case *image.YCbCr:
		return func(dst []byte, y int) { ycbcrRow(dst, m, y) }
	case *image.NYCbCrA:
		return func(dst []byte, y int) {
			ycbcrRow(dst, &m.YCbCr, y)
			overWhite(dst, m.A[y*m.AStride:][:w])
		}
	case *image.Gray:
		return func(dst []byte, y int) { grayRow(dst, m.Pix[y*m.Stride:][:w]) }
	case *image.Gray16:
		return func(dst []byte, y int) { gray16Row(dst, m.Pix[y*m.Stride:][:2*w]) }
	case *image.RGBA:
		return func(dst []byte, y int) { rgbaRow(dst, m.Pix[y*m.Stride:][:4*w]) }
	case *image.NRGBA:
		return func(dst []byte, y int) { nrgbaRow(dst, m.Pix[y*m.Stride:][:4*w]) }
	case *image.RGBA64:
		return func(dst []byte, y int) { rgba64Row(dst, m.Pix[y*m.Stride:][:8*w]) }
	case *image.NRGBA64:
		return func(dst []byte, y int) { nrgba64Row(dst, m.Pix[y*m.Stride:][:8*w]) }
	case *image.CMYK:
		return func(dst []byte, y int) { cmykRow(dst, m.Pix[y*m.Stride:][:4*w]) }
	case *image.Paletted:
		table := paletteOverWhite(m.Palette)
		return func(dst []byte, y int) { palettedRow(dst, m.Pix[y*m.Stride:][:w], table) }
	}
	return func(dst []byte, y int) { anyRow(dst, src, y) }
}

func grayRow(dst, src []byte) {
	for _, v := range src {
		d := dst[:3:3]
		d[0], d[1], d[2] = v, v, v
		dst = dst[3:]
	}
}

func gray16Row(dst, src []byte) {
	for len(src) >= 2 {
		v := narrow(src[0], src[1])
		d := dst[:3:3]
		d[0], d[1], d[2] = v, v, v
		src, dst = src[2:], dst[3:]
	}
}

// rgbaRow reads premultiplied samples; over white they gain what alpha lacks.
func rgbaRow(dst, src []byte) {
	for len(src) >= 4 {
		s, d := src[:4:4], dst[:3:3]
		d[0], d[1], d[2] = s[0], s[1], s[2]
		if a := s[3]; a != 0xff {
			d[0] += 0xff - a
			d[1] += 0xff - a
			d[2] += 0xff - a
		}
		src, dst = src[4:], dst[3:]
	}
}

func nrgbaRow(dst, src []byte) {
	for len(src) >= 4 {
		s, d := src[:4:4], dst[:3:3]
		if a := s[3]; a == 0xff {
			d[0], d[1], d[2] = s[0], s[1], s[2]
		} else {
			d[0], d[1], d[2] = blend(s[0], a), blend(s[1], a), blend(s[2], a)
		}
		src, dst = src[4:], dst[3:]
	}
}

func rgba64Row(dst, src []byte) {
	for len(src) >= 8 {
		s, d := src[:8:8], dst[:3:3]
		lack := 0xff - narrow(s[6], s[7])
		d[0] = addUpTo255(narrow(s[0], s[1]), lack)
		d[1] = addUpTo255(narrow(s[2], s[3]), lack)
		d[2] = addUpTo255(narrow(s[4], s[5]), lack)
		src, dst = src[8:], dst[3:]
	}
}

func nrgba64Row(dst, src []byte) {
	for len(src) >= 8 {
		s, d := src[:8:8], dst[:3:3]
		d[0], d[1], d[2] = narrow(s[0], s[1]), narrow(s[2], s[3]), narrow(s[4], s[5])
		if a := narrow(s[6], s[7]); a != 0xff {
			d[0], d[1], d[2] = blend(d[0], a), blend(d[1], a), blend(d[2], a)
		}
		src, dst = src[8:], dst[3:]
	}
}

func cmykRow(dst, src []byte) {
	for len(src) >= 4 {
		s, d := src[:4:4], dst[:3:3]
		light := uint32(0xff - s[3])
		d[0] = div255(uint32(0xff-s[0]) * light)
		d[1] = div255(uint32(0xff-s[1]) * light)
		d[2] = div255(uint32(0xff-s[2]) * light)
		src, dst = src[4:], dst[3:]
	}
}

// paletteOverWhite returns 256 RGB colours over white; indexes beyond p are white as what is transparent is.
func paletteOverWhite(p color.Palette) *[256][3]byte {
	table := new([256][3]byte)
	for i := range table {
		table[i] = [3]byte{0xff, 0xff, 0xff}
		if i < len(p) {
			c, _ := color.NRGBAModel.Convert(p[i]).(color.NRGBA)
			table[i] = [3]byte{blend(c.R, c.A), blend(c.G, c.A), blend(c.B, c.A)}
		}
	}
	return table
}

func palettedRow(dst, src []byte, table *[256][3]byte) {
	for _, i := range src {
		d, c := dst[:3:3], &table[i]
		d[0], d[1], d[2] = c[0], c[1], c[2]
		dst = dst[3:]
	}
}

// anyRow is for images of types that the decoders here do not return.
func anyRow(dst []byte, src image.Image, y int) {
	b := src.Bounds()
	for x := b.Min.X; x < b.Max.X; x++ {
		r, g, bl, a := src.At(x, b.Min.Y+y).RGBA()
		lack := 0xffff - a
		dst[0], dst[1], dst[2] = byte((r+lack)>>8), byte((g+lack)>>8), byte((bl+lack)>>8)
		dst = dst[3:]
	}
}

// overWhite blends the RGB row dst over white by the alphas of its pixels.
func overWhite(dst, alpha []byte) {
	for _, a := range alpha {
		if a != 0xff {
			dst[0], dst[1], dst[2] = blend(dst[0], a), blend(dst[1], a), blend(dst[2], a)
		}
		dst = dst[3:]
	}
}

// blend lays v over white with alpha a.
func blend(v, a byte) byte {
	return div255(uint32(v)*uint32(a) + 0xff*uint32(0xff-a))
}

// div255 returns v/255 to the nearest, for v up to 255*255.
func div255(v uint32) byte {
	v += 128
	return byte((v + v>>8) >> 8)
}

// narrow scales the big-endian 16-bit sample hi, lo to 8 bits, to the nearest.
func narrow(hi, lo byte) byte {
	return byte((uint32(hi)<<8*255 + uint32(lo)*255 + 32895) >> 16)
}

func addUpTo255(a, b byte) byte { return byte(min(uint32(a)+uint32(b), 0xff)) }
