package runners

import (
	"encoding/binary"
	"fmt"
	"math"
)

// PackBytes lays elems out as BYTES data: u32 offsets[n+1], then the elements. It returns ErrShape when they do not fit
// 32-bit offsets.
func PackBytes(elems [][]byte) ([]byte, error) {
	total := 0
	for _, e := range elems {
		total += len(e)
	}
	head := 4 * (len(elems) + 1)
	if int64(total) > math.MaxUint32 {
		return nil, fmt.Errorf("%w: %d bytes of string elements", ErrShape, total)
	}
	data := make([]byte, head, head+total)
	for i, e := range elems {
		data = append(data, e...)
		binary.LittleEndian.PutUint32(data[4*(i+1):], uint32(len(data)-head))
	}
	return data, nil
}

// UnpackBytes returns the n elements of BYTES data; they alias it. The error wraps ErrShape.
func UnpackBytes(data []byte, n int64) ([][]byte, error) {
	if err := checkOffsets(data, n); err != nil {
		return nil, err
	}
	body := data[4*(n+1):]
	elems := make([][]byte, n)
	for i := range elems {
		elems[i] = body[binary.LittleEndian.Uint32(data[4*i:]):binary.LittleEndian.Uint32(data[4*(i+1):])]
	}
	return elems, nil
}

func checkOffsets(data []byte, n int64) error {
	if n < 0 || n > int64(len(data))/4 || int64(len(data)) < 4*(n+1) {
		return fmt.Errorf("%w: BYTES of %d elements in %d bytes", ErrShape, n, len(data))
	}
	prev := uint32(0)
	for i := range n + 1 {
		off := binary.LittleEndian.Uint32(data[4*i:])
		if off < prev || (i == 0 && off != 0) {
			return fmt.Errorf("%w: BYTES offset %d is %d after %d", ErrShape, i, off, prev)
		}
		prev = off
	}
	if int64(prev) != int64(len(data))-4*(n+1) {
		return fmt.Errorf("%w: BYTES offsets end at %d, the data at %d", ErrShape, prev, int64(len(data))-4*(n+1))
	}
	return nil
}
