package onnx

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/tandem-serve/tandem/runners"
)

var errWalk = errors.New("the walked value is damaged")

// document makes a scalar BYTES tensor with one JSON document out of what the shim walked (shim_value.c). Tensors become
// nested arrays, sequences arrays, maps objects in the order of their keys; what JSON has no number for becomes "NaN",
// "Infinity" or "-Infinity", as in protobuf's JSON.
func document(walked []byte) (runners.Tensor, error) {
	d := decoder{rest: walked}
	d.value(0)
	if d.err == nil && len(d.rest) > 0 {
		d.err = errWalk
	}
	if d.err != nil {
		return runners.Tensor{}, fmt.Errorf("%w: %w", runners.ErrRun, d.err)
	}
	data, err := runners.PackBytes([][]byte{d.out})
	if err != nil {
		return runners.Tensor{}, err
	}
	return runners.Tensor{DType: runners.BYTES, Shape: []int64{}, Data: data}, nil
}

// decoder turns a walked value into JSON; err stays once it is set.
type decoder struct {
	rest []byte
	out  []byte
	err  error
}

func (d *decoder) take(n uint64) []byte {
	if d.err != nil || n > uint64(len(d.rest)) {
		d.err = errors.Join(d.err, errWalk)
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uint(bytes uint64) uint64 {
	var v uint64
	for i, b := range d.take(bytes) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (d *decoder) value(depth int) {
	switch kind := d.uint(1); {
	case d.err != nil, depth > 16:
		d.err = errWalk
	case kind == 1:
		t := d.tensor()
		d.nested(t, t.shape)
	case kind == 2:
		d.sequence(d.uint(8), depth)
	case kind == 3:
		d.mapping()
	default:
		d.err = errWalk
	}
}

func (d *decoder) sequence(count uint64, depth int) {
	d.out = append(d.out, '[')
	for i := range count {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		if d.value(depth + 1); d.err != nil {
			return
		}
	}
	d.out = append(d.out, ']')
}

// mapping reads the tensors of a map's keys and values, which are equally long.
func (d *decoder) mapping() {
	if d.uint(1) != 1 {
		d.err = errWalk
		return
	}
	keys := d.tensor()
	if d.uint(1) != 1 {
		d.err = errWalk
		return
	}
	values := d.tensor()
	if d.err != nil || keys.left != values.left {
		d.err = errors.Join(d.err, errWalk)
		return
	}
	d.out = append(d.out, '{')
	for i := 0; keys.left > 0 && d.err == nil; i++ {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		if keys.dtype == runners.BYTES {
			d.element(keys)
		} else {
			d.out = append(d.out, '"')
			d.element(keys)
			d.out = append(d.out, '"')
		}
		d.out = append(d.out, ':')
		d.element(values)
	}
	d.out = append(d.out, '}')
}

// walkedTensor is a tensor of which left elements from next on are still to be written.
type walkedTensor struct {
	dtype runners.DType
	shape []int64
	left  int64
	data  []byte
	texts [][]byte
}

func (d *decoder) tensor() *walkedTensor {
	t := &walkedTensor{dtype: runners.DType(d.uint(1))}
	rank := d.uint(4)
	if d.err != nil || rank > uint64(len(d.rest))/8 {
		d.err = errWalk
		return t
	}
	t.shape = make([]int64, rank)
	for i := range t.shape {
		t.shape[i] = int64(d.uint(8))
	}
	t.data = d.take(d.uint(8))
	whole := runners.Tensor{DType: t.dtype, Shape: t.shape, Data: t.data}
	if err := whole.Check(); err != nil && d.err == nil {
		d.err = err
	}
	if d.err != nil {
		return t
	}
	t.left, _ = runners.Elements(t.shape)
	if t.dtype == runners.BYTES {
		t.texts, d.err = runners.UnpackBytes(t.data, t.left)
	}
	return t
}

// nested writes the tensor's elements as arrays of arrays along shape.
func (d *decoder) nested(t *walkedTensor, shape []int64) {
	switch {
	case d.err != nil:
	case len(shape) == 0:
		d.element(t)
	default:
		d.out = append(d.out, '[')
		for i := range shape[0] {
			if i > 0 {
				d.out = append(d.out, ',')
			}
			d.nested(t, shape[1:])
		}
		d.out = append(d.out, ']')
	}
}

// element writes the next element.
func (d *decoder) element(t *walkedTensor) {
	if t.left == 0 {
		d.err = errWalk
		return
	}
	t.left--
	if t.dtype == runners.BYTES {
		text, err := json.Marshal(string(t.texts[0]))
		d.out, d.err = append(d.out, text...), err
		t.texts = t.texts[1:]
		return
	}
	d.out = appendNumber(d.out, t.dtype, t.data)
	t.data = t.data[t.dtype.Size():]
}

// appendNumber writes the first element of b, which is long enough.
func appendNumber(out []byte, dtype runners.DType, b []byte) []byte {
	le := binary.LittleEndian
	switch dtype {
	case runners.FP32:
		return appendFloat(out, float64(math.Float32frombits(le.Uint32(b))), 32)
	case runners.FP64:
		return appendFloat(out, math.Float64frombits(le.Uint64(b)), 64)
	case runners.BF16:
		return appendFloat(out, float64(math.Float32frombits(uint32(le.Uint16(b))<<16)), 32)
	case runners.FP16:
		return appendFloat(out, float64(half(le.Uint16(b))), 32)
	case runners.BOOL:
		return strconv.AppendBool(out, b[0] != 0)
	case runners.INT8:
		return strconv.AppendInt(out, int64(int8(b[0])), 10)
	case runners.INT16:
		return strconv.AppendInt(out, int64(int16(le.Uint16(b))), 10)
	case runners.INT32:
		return strconv.AppendInt(out, int64(int32(le.Uint32(b))), 10)
	case runners.INT64:
		return strconv.AppendInt(out, int64(le.Uint64(b)), 10)
	case runners.UINT8:
		return strconv.AppendUint(out, uint64(b[0]), 10)
	case runners.UINT16:
		return strconv.AppendUint(out, uint64(le.Uint16(b)), 10)
	case runners.UINT32:
		return strconv.AppendUint(out, uint64(le.Uint32(b)), 10)
	case runners.UINT64:
		return strconv.AppendUint(out, le.Uint64(b), 10)
	case runners.DTypeNone, runners.BYTES:
	}
	return append(out, "null"...)
}

func appendFloat(out []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(out, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(out, `"-Infinity"`...)
	}
	return strconv.AppendFloat(out, f, 'g', -1, bits)
}

// half converts an IEEE 754 binary16 number.
func half(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero and the subnormal numbers, multiples of 2^-24
		f := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f: // infinity, or not a number
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
