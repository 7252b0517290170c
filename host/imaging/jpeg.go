package imaging

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// maxScans bounds the scans of a progressive JPEG. Encoders write about ten; every scan walks over all blocks of the
// image although it may be a few bytes long.
const maxScans = 100

// jpegFacts is what the decoder does not tell about a JPEG.
type jpegFacts struct {
	w, h        int // 0 when there is no frame header
	orient      orientation
	progressive bool
	scans       int // counted for progressive images only, up to maxScans+1
}

// check holds what the markers say against lim. The decoder reads on beyond the frame header before it tells the size; a
// file that is nothing but a header is judged by its size first.
func (f jpegFacts) check(lim Limits) error {
	if f.scans > maxScans {
		return fmt.Errorf("%w: the jpeg has more than %d scans", ErrTooLarge, maxScans)
	}
	if f.w == 0 || f.h == 0 {
		return nil
	}
	return lim.check(JPEG, f.w, f.h)
}

// readJPEG walks over the markers of a JPEG. It takes what it understands and never fails: judging is the decoder's part.
func readJPEG(data []byte) jpegFacts {
	f := jpegFacts{orient: upright}
	seenEXIF := false
	for p := 2; p+4 <= len(data); {
		if data[p] != 0xff {
			return f
		}
		marker := data[p+1]
		if marker == 0xff { // fill byte
			p++
			continue
		}
		n := int(binary.BigEndian.Uint16(data[p+2:]))
		if n < 2 || p+2+n > len(data) {
			return f
		}
		body := data[p+4 : p+2+n]
		switch marker {
		case 0xc0, 0xc1, 0xc2: // SOF0..2
			f.progressive = marker == 0xc2
			if len(body) >= 5 {
				f.h, f.w = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
			}
		case 0xe1: // APP1
			if tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && !seenEXIF {
				seenEXIF = true
				f.orient = exifOrientation(tiff)
			}
		case 0xda: // SOS: pixels follow
			if f.progressive {
				f.scans = countScans(data[p:])
			}
			return f
		}
		p += 2 + n
	}
	return f
}

// countScans counts the start-of-scan markers; inside of pixels 0xff is always followed by 0 or a restart marker.
func countScans(data []byte) int {
	n := 0
	for n <= maxScans {
		i := bytes.Index(data, []byte{0xff, 0xda})
		if i < 0 {
			return n
		}
		n++
		data = data[i+2:]
	}
	return n
}

// exifOrientation reads tag 0x0112 of the first directory of a TIFF header; upright when it is not there or not sane.
func exifOrientation(tiff []byte) orientation {
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return upright
	}
	entries := int(order.Uint16(tiff[at:]))
	dir := tiff[at+2:]
	for ; entries > 0 && len(dir) >= 12; entries-- {
		const tagOrientation, typeShort = 0x0112, 3
		if order.Uint16(dir) == tagOrientation && order.Uint16(dir[2:]) == typeShort {
			if o := order.Uint16(dir[8:]); o >= uint16(upright) && o <= uint16(rotate270) {
				return orientation(o)
			}
			return upright
		}
		dir = dir[12:]
	}
	return upright
}
