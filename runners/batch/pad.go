package batch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/tandem-serve/tandem/runners"
)

// Pad is one dimension of an input that is made longer, at its end, so that requests of several shapes share a batch. The
// model has to give the same answer for a padded input, which it usually tells by a mask.
type Pad struct {
	// Input is the input's name.
	Input string
	// Axis is the dimension, from 1: dimension 0 is the rows.
	Axis int
	// Value is what it is filled with, as the input's data type holds it. Default 0.
	Value float64
}

// padding is a Pad of a signature.
type padding struct {
	input, axis int
	dim         string // the dimension's name; "" when it has none
	fill        []byte // one element
	cuts        []cut  // where its length comes out again
}

// cut is a dimension of an output that is as long as a padded one of the inputs.
type cut struct {
	output, axis int
}

// Validate reports every fault of the padding that c asks for of a model with this signature.
func (c Config) Validate(s runners.Signature) error {
	var faults []error
	for i, p := range c.Pad {
		at, err := padded(s, p)
		if err == nil && slices.ContainsFunc(c.Pad[:i], func(q Pad) bool { return q.Input == p.Input && q.Axis == p.Axis }) {
			err = fmt.Errorf("dimension %d of input %q is padded twice", p.Axis, p.Input)
		}
		if err == nil && slices.ContainsFunc(c.Pad, func(q Pad) bool { return q.Input == p.Input && q.Value != p.Value }) {
			err = fmt.Errorf("input %q is padded with two values", p.Input)
		}
		if err == nil {
			err = c.paddedToo(s, s.Inputs[at].Dims[p.Axis].Name)
		}
		faults = append(faults, err)
	}
	if len(c.Pad) == 0 && len(c.Buckets) > 0 {
		faults = append(faults, errors.New("sizes of buckets are given, but no dimension is padded"))
	}
	for i, b := range c.Buckets {
		if b < 1 || i > 0 && b <= c.Buckets[i-1] {
			faults = append(faults, fmt.Errorf("sizes of buckets %v: want them ascending, from 1", c.Buckets))
			break
		}
	}
	return errors.Join(faults...)
}

// paddedToo reports a dimension of the same name that is not padded: the model takes them to be equal.
func (c Config) paddedToo(s runners.Signature, name string) error {
	if name == "" {
		return nil
	}
	for i := range s.Inputs {
		for axis, d := range s.Inputs[i].Dims {
			if axis > 0 && d.Size < 0 && d.Name == name && !slices.ContainsFunc(c.Pad, func(p Pad) bool {
				return p.Input == s.Inputs[i].Name && p.Axis == axis
			}) {
				return fmt.Errorf("dimension %d of input %q is %s too: say what it is padded with", axis, s.Inputs[i].Name, name)
			}
		}
	}
	return nil
}

// padded returns which input of the signature p pads, or why it cannot be padded.
func padded(s runners.Signature, p Pad) (int, error) {
	at := slices.IndexFunc(s.Inputs, func(port runners.Port) bool { return port.Name == p.Input })
	if at < 0 {
		return 0, fmt.Errorf("there is no input %q to pad", p.Input)
	}
	port := &s.Inputs[at]
	switch {
	case p.Axis < 1 || p.Axis >= len(port.Dims):
		return 0, fmt.Errorf("input %q has no dimension %d to pad: 1 to %d are left of %d", p.Input, p.Axis, len(port.Dims)-1, len(port.Dims))
	case port.Dims[p.Axis].Size >= 0:
		return 0, fmt.Errorf("dimension %d of input %q is always %d: there is nothing to pad", p.Axis, p.Input, port.Dims[p.Axis].Size)
	}
	if _, err := Element(port.DType, p.Value); err != nil {
		return 0, fmt.Errorf("input %q: %w", p.Input, err)
	}
	return at, nil
}

// paddingOf returns what config pads of a model with this signature. What Validate finds fault with is left out.
func paddingOf(config Config, s runners.Signature) []padding {
	var all []padding
	for _, p := range config.Pad {
		at, err := padded(s, p)
		if err != nil {
			continue
		}
		one := padding{input: at, axis: p.Axis, dim: s.Inputs[at].Dims[p.Axis].Name}
		one.fill, _ = Element(s.Inputs[at].DType, p.Value) // padded has seen it
		for o := range s.Outputs {
			for axis, d := range s.Outputs[o].Dims {
				if axis > 0 && d.Size < 0 && d.Name != "" && d.Name == one.dim {
					one.cuts = append(one.cuts, cut{o, axis})
				}
			}
		}
		all = append(all, one)
	}
	return all
}

// Element returns one element of a data type that stands for v. Data types that cannot hold v, and strings, are an error.
func Element(d runners.DType, v float64) ([]byte, error) {
	le := binary.LittleEndian
	switch d {
	case runners.FP32:
		return le.AppendUint32(nil, math.Float32bits(float32(v))), nil
	case runners.FP64:
		return le.AppendUint64(nil, math.Float64bits(v)), nil
	case runners.BF16:
		return le.AppendUint16(nil, uint16(math.Float32bits(float32(v))>>16)), nil
	case runners.FP16:
		return le.AppendUint16(nil, half(float32(v))), nil
	case runners.BYTES, runners.DTypeNone:
		return nil, fmt.Errorf("%s cannot be filled", d)
	default:
		return integer(d, v)
	}
}

// integer returns v as d holds it, when it does.
func integer(d runners.DType, v float64) ([]byte, error) {
	if v != math.Trunc(v) || math.Abs(v) >= 1<<63 || v < 0 && unsigned(d) || d == runners.BOOL && v > 1 {
		return nil, fmt.Errorf("%v is no value of %s", v, d)
	}
	full := binary.LittleEndian.AppendUint64(nil, uint64(int64(v)))
	size := d.Size()
	for _, b := range full[size:] {
		if b != 0 && b != 0xff {
			return nil, fmt.Errorf("%v is no value of %s", v, d)
		}
	}
	return full[:size], nil
}

// half returns v in half precision, towards 0; what is too large is infinite, what is too small is 0.
func half(v float32) uint16 {
	b := math.Float32bits(v)
	sign := uint16(b >> 16 & 0x8000)
	switch e := int(b>>23&0xff) - 127 + 15; {
	case e <= 0:
		return sign
	case e >= 31:
		return sign | 0x7c00
	default:
		return sign | uint16(e)<<10 | uint16(b>>13&0x3ff)
	}
}

func unsigned(d runners.DType) bool {
	switch d {
	case runners.UINT8, runners.UINT16, runners.UINT32, runners.UINT64, runners.BOOL:
		return true
	default:
		return false
	}
}

// bucket returns the length that n is brought to.
func (b *Batcher) bucket(n int64) int64 {
	if len(b.config.Buckets) == 0 {
		if n <= 1 {
			return max(n, 1)
		}
		return 1 << bits.Len64(uint64(n-1))
	}
	if i, _ := slices.BinarySearch(b.config.Buckets, n); i < len(b.config.Buckets) {
		return b.config.Buckets[i]
	}
	return n
}

// runPadded brings the padded dimensions to the sizes of their buckets, whoever shares the run: an answer does not depend on
// that. Inputs that have such sizes already are not copied.
func (b *Batcher) runPadded(ctx context.Context, in, out []runners.Tensor) error {
	account := accountOf(ctx)
	wide := slices.Clone(in)
	var used []*buffer
	defer func() {
		for _, f := range used {
			b.buffers.Put(f)
		}
	}()
	for i := range in {
		shape := b.paddedShape(i, in[i].Shape)
		if slices.Equal(shape, in[i].Shape) {
			continue
		}
		f, ok := b.buffers.Get().(*buffer)
		if !ok {
			f = new(buffer)
		}
		used = append(used, f)
		if err := b.widen(&wide[i], shape, f, b.fillOf(i)); err != nil {
			return fmt.Errorf("input %q: %w", b.inner.Signature().Inputs[i].Name, err)
		}
		account.add(Account{BytesCopied: uint64(len(in[i].Data))})
	}
	if len(used) == 0 {
		return b.run(ctx, in, out)
	}
	results := make([]runners.Tensor, len(out))
	if err := b.run(ctx, wide, results); err != nil {
		return err
	}
	return b.cutBack(in, wide, results, out, account)
}

// paddedShape returns the shape of input i when its padded dimensions are brought to their buckets.
func (b *Batcher) paddedShape(i int, shape []int64) []int64 {
	wide := slices.Clone(shape)
	for _, p := range b.padding {
		if p.input == i {
			wide[p.axis] = b.bucket(shape[p.axis])
		}
	}
	return wide
}

func (b *Batcher) fillOf(i int) []byte {
	for _, p := range b.padding {
		if p.input == i {
			return p.fill
		}
	}
	return nil
}

// widen makes t of the shape, over memory of f, its new elements those of fill.
func (b *Batcher) widen(t *runners.Tensor, shape []int64, f *buffer, fill []byte) error {
	n, ok := runners.Elements(shape)
	size := int64(t.DType.Size())
	if !ok || n > math.MaxInt/size {
		return fmt.Errorf("%w: padded it would be %v", runners.ErrShape, shape)
	}
	room := f.room(int(n * size))
	for at := 0; at < len(room); at += len(fill) {
		copy(room[at:], fill)
	}
	copyBlock(room, shape, t.Data, t.Shape, t.Shape, int(size))
	*t = runners.Tensor{DType: t.DType, Shape: shape, Data: room}
	return nil
}

// cutBack hands the results over to out, without what only stands for padding.
func (b *Batcher) cutBack(in, wide, results, out []runners.Tensor, account *Account) error {
	for i := range results {
		shape := slices.Clone(results[i].Shape)
		for _, p := range b.padding {
			for _, c := range p.cuts {
				if c.output == i && c.axis < len(shape) && shape[c.axis] == wide[p.input].Shape[p.axis] {
					shape[c.axis] = in[p.input].Shape[p.axis]
				}
			}
		}
		if slices.Equal(shape, results[i].Shape) {
			continue
		}
		n, _ := runners.Elements(shape) // not more than before
		size := results[i].DType.Size()
		if size == 0 {
			continue // strings: nothing says that they can be cut
		}
		data := make([]byte, int(n)*size)
		copyBlock(data, shape, results[i].Data, results[i].Shape, shape, size)
		dtype := results[i].DType
		results[i].Release()
		results[i] = runners.Tensor{DType: dtype, Shape: shape, Data: data}
		account.add(Account{BytesCopied: uint64(len(data))})
	}
	return deliverAll(b.inner.Signature().Outputs, results, out)
}

// deliverAll hands over all results or none.
func deliverAll(ports []runners.Port, results, out []runners.Tensor) error {
	own := make([]bool, len(out))
	for i := range out {
		own[i] = out[i].Data != nil
		err := out[i].Deliver(results[i])
		if err == nil {
			continue
		}
		for j := range i {
			if !own[j] {
				out[j].Release()
			}
		}
		for j := i + 1; j < len(results); j++ {
			results[j].Release()
		}
		return fmt.Errorf("output %q: %w", ports[i].Name, err)
	}
	return nil
}

// copyBlock copies the elements of a block from the first corner of one tensor to that of another; both are at least as long
// as the block in each dimension.
func copyBlock(to []byte, toShape []int64, from []byte, fromShape, block []int64, size int) {
	if len(block) == 0 {
		copy(to, from[:size])
		return
	}
	if n, _ := runners.Elements(block); n == 0 {
		return
	}
	toStride, fromStride := size, size
	for d := 1; d < len(block); d++ {
		toStride *= int(toShape[d])
		fromStride *= int(fromShape[d])
	}
	if len(block) == 1 {
		copy(to, from[:int(block[0])*size])
		return
	}
	for i := range int(block[0]) {
		copyBlock(to[i*toStride:], toShape[1:], from[i*fromStride:], fromShape[1:], block[1:], size)
	}
}
