package api

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
)

var errElements = errors.New("elements do not fit the data type")

// arrowFrom turns the Open Inference Protocol's layout of BYTES (each element after its 4-byte length) into ours.
func arrowFrom(data []byte, n int64) ([]byte, error) {
	if n > int64(len(data))/4 {
		return nil, fmt.Errorf("%d BYTES elements need at least %d bytes, got %d", n, 4*n, len(data))
	}
	elems := make([][]byte, n)
	for i := range elems {
		if len(data) < 4 {
			return nil, fmt.Errorf("BYTES element %d: its length is cut off", i)
		}
		size := int64(binary.LittleEndian.Uint32(data))
		if size > int64(len(data)-4) {
			return nil, fmt.Errorf("BYTES element %d: %d bytes announced, %d left", i, size, len(data)-4)
		}
		elems[i], data = data[4:4+size], data[4+size:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes stand after the last BYTES element", len(data))
	}
	return runners.PackBytes(elems)
}

// arrowTo is the inverse of arrowFrom.
func arrowTo(data []byte, n int64) ([]byte, error) {
	elems, err := runners.UnpackBytes(data, n)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(data)+4)
	for _, e := range elems {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(e)))
		out = append(out, e...)
	}
	return out, nil
}

// elementsFrom lays out elements that were sent one by one.
func elementsFrom(e *tandemv1.Elements, d abi.DType, n int64) ([]byte, error) {
	counts := []int{len(e.GetFloats()), len(e.GetInts()), len(e.GetUints()), len(e.GetBools()), len(e.GetStrings())}
	sum, set := 0, 0
	for _, c := range counts {
		sum += c
		if c > 0 {
			set++
		}
	}
	if set > 1 {
		return nil, fmt.Errorf("%w: more than one list of elements is set", errElements)
	}
	if int64(sum) != n {
		return nil, fmt.Errorf("%w: the shape has %d elements, got %d", errElements, n, sum)
	}
	if sum == 0 {
		return emptyData(d), nil
	}
	switch {
	case len(e.GetFloats()) > 0:
		return floatsFrom(e.GetFloats(), d)
	case len(e.GetInts()) > 0:
		return intsFrom(e.GetInts(), d)
	case len(e.GetUints()) > 0 && d == abi.UINT64:
		return appendAll(e.GetUints(), binary.LittleEndian.AppendUint64), nil
	case len(e.GetBools()) > 0 && d == abi.BOOL:
		return appendAll(e.GetBools(), appendBool), nil
	case len(e.GetStrings()) > 0 && d == abi.BYTES:
		elems := make([][]byte, len(e.GetStrings()))
		for i, s := range e.GetStrings() {
			elems[i] = []byte(s)
		}
		return runners.PackBytes(elems)
	default:
		return nil, fmt.Errorf("%w: that list of elements cannot hold %s", errElements, d)
	}
}

func emptyData(d abi.DType) []byte {
	if d == abi.BYTES {
		return make([]byte, 4)
	}
	return nil
}

func appendAll[T any](in []T, put func([]byte, T) []byte) []byte {
	var out []byte
	for _, x := range in {
		out = put(out, x)
	}
	return out
}

func appendBool(b []byte, x bool) []byte {
	if x {
		return append(b, 1)
	}
	return append(b, 0)
}

func floatsFrom(in []float64, d abi.DType) ([]byte, error) {
	le := binary.LittleEndian
	switch d {
	case abi.FP64:
		return appendAll(in, func(b []byte, x float64) []byte { return le.AppendUint64(b, math.Float64bits(x)) }), nil
	case abi.FP32:
		return appendAll(in, func(b []byte, x float64) []byte { return le.AppendUint32(b, math.Float32bits(float32(x))) }), nil
	case abi.FP16:
		return appendAll(in, func(b []byte, x float64) []byte { return le.AppendUint16(b, halfFrom(float32(x))) }), nil
	case abi.BF16:
		return appendAll(in, func(b []byte, x float64) []byte { return le.AppendUint16(b, bfloatFrom(float32(x))) }), nil
	default:
		return nil, fmt.Errorf("%w: floats cannot hold %s", errElements, d)
	}
}

// intRange holds the bounds of the integer types that ints can carry; UINT64 is bounded by int64 there.
var intRange = map[abi.DType][2]int64{
	abi.INT8: {math.MinInt8, math.MaxInt8}, abi.INT16: {math.MinInt16, math.MaxInt16}, abi.INT32: {math.MinInt32, math.MaxInt32},
	abi.INT64: {math.MinInt64, math.MaxInt64}, abi.UINT8: {0, math.MaxUint8}, abi.UINT16: {0, math.MaxUint16},
	abi.UINT32: {0, math.MaxUint32}, abi.UINT64: {0, math.MaxInt64},
}

func intsFrom(in []int64, d abi.DType) ([]byte, error) {
	r, ok := intRange[d]
	if !ok {
		return nil, fmt.Errorf("%w: ints cannot hold %s", errElements, d)
	}
	out := make([]byte, 0, len(in)*d.Size())
	for i, x := range in {
		if x < r[0] || x > r[1] {
			return nil, fmt.Errorf("%w: element %d is %d, outside %s", errElements, i, x, d)
		}
		for shift := range d.Size() {
			out = append(out, byte(x>>(8*shift)))
		}
	}
	return out, nil
}

// elementsTo writes a tensor's elements one by one.
func elementsTo(v value.Value, n int64) (*tandemv1.Elements, error) {
	e := &tandemv1.Elements{}
	if v.DType == abi.BYTES {
		elems, err := runners.UnpackBytes(v.Data, n)
		for _, b := range elems {
			if !utf8.Valid(b) {
				return nil, fmt.Errorf("a BYTES element is not UTF-8 and cannot be written out; ask for raw tensors")
			}
			e.Strings = append(e.Strings, string(b))
		}
		return e, err
	}
	size := v.DType.Size()
	for i := range int(n) {
		b := v.Data[i*size : (i+1)*size]
		var u uint64
		for shift := range b {
			u |= uint64(b[shift]) << (8 * shift)
		}
		addElement(e, v.DType, u)
	}
	return e, nil
}

func addElement(e *tandemv1.Elements, d abi.DType, u uint64) {
	switch d {
	case abi.BOOL:
		e.Bools = append(e.Bools, u != 0)
	case abi.FP64:
		e.Floats = append(e.Floats, math.Float64frombits(u))
	case abi.FP32:
		e.Floats = append(e.Floats, float64(math.Float32frombits(uint32(u))))
	case abi.FP16:
		e.Floats = append(e.Floats, float64(halfTo(uint16(u))))
	case abi.BF16:
		e.Floats = append(e.Floats, float64(math.Float32frombits(uint32(u)<<16)))
	case abi.UINT64:
		e.Uints = append(e.Uints, u)
	case abi.INT8:
		e.Ints = append(e.Ints, int64(int8(u)))
	case abi.INT16:
		e.Ints = append(e.Ints, int64(int16(u)))
	case abi.INT32:
		e.Ints = append(e.Ints, int64(int32(u)))
	case abi.INT64, abi.UINT8, abi.UINT16, abi.UINT32:
		e.Ints = append(e.Ints, int64(u))
	case abi.BYTES, abi.DTypeNone:
	}
}
