package graph

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/runners"
)

// constantOf reads a constant of type t from a document. Only the kind, element type and rank of t matter here: sizes are
// compared where the constant is used. The error is for people and says what the value should have been.
func constantOf(doc *tree, t Type) (*Const, error) {
	if t.List > 0 {
		if doc.kind != treeList {
			return nil, fmt.Errorf("a list is wanted, not %s", doc.kind)
		}
		inner := t
		inner.List--
		c := &Const{Kind: abi.KindList, Items: make([]Const, 0, len(doc.items))}
		for i, item := range doc.items {
			v, err := constantOf(item, inner)
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
			c.Items = append(c.Items, *v)
		}
		return c, nil
	}
	switch t.Kind {
	case abi.KindText:
		if doc.kind != treeString {
			return nil, fmt.Errorf("text is wanted, not %s", doc.kind)
		}
		return &Const{Kind: abi.KindText, Data: []byte(doc.text)}, nil
	case abi.KindJSON:
		return &Const{Kind: abi.KindJSON, Data: doc.appendJSON(nil)}, nil
	case abi.KindTensor:
		return tensorConstant(doc, t)
	default:
		return nil, fmt.Errorf("%s cannot be written down; text, json and tensors can", t.Kind)
	}
}

// tensorConstant reads a number, or lists of numbers as deep as the rank.
func tensorConstant(doc *tree, t Type) (*Const, error) {
	if t.DType == abi.DTypeNone {
		return nil, fmt.Errorf("the element type is not known: a constant needs a type that says it")
	}
	shape := []int64{}
	for d := doc; d.kind == treeList; d = d.items[0] {
		shape = append(shape, int64(len(d.items)))
		if len(d.items) == 0 {
			break
		}
		if len(shape) > abi.MaxRank {
			return nil, fmt.Errorf("the rank is more than %d", abi.MaxRank)
		}
	}
	var flat []*tree
	if err := flatten(doc, shape, &flat); err != nil {
		return nil, err
	}
	data, err := encode(flat, t.DType)
	if err != nil {
		return nil, err
	}
	return &Const{Kind: abi.KindTensor, DType: t.DType, Shape: shape, Data: data}, nil
}

func flatten(doc *tree, shape []int64, flat *[]*tree) error {
	if len(shape) == 0 {
		if doc.kind == treeList {
			return fmt.Errorf("the lists are not equally deep")
		}
		*flat = append(*flat, doc)
		return nil
	}
	if doc.kind != treeList {
		return fmt.Errorf("the lists are not equally deep")
	}
	if int64(len(doc.items)) != shape[0] {
		return fmt.Errorf("the lists are not equally long: one has %d items, another %d", shape[0], len(doc.items))
	}
	for _, item := range doc.items {
		if err := flatten(item, shape[1:], flat); err != nil {
			return err
		}
	}
	return nil
}

func encode(values []*tree, d abi.DType) ([]byte, error) {
	if d == abi.BYTES {
		elems := make([][]byte, len(values))
		for i, v := range values {
			if v.kind != treeString {
				return nil, fmt.Errorf("BYTES wants text, not %s", v.kind)
			}
			elems[i] = []byte(v.text)
		}
		return runners.PackBytes(elems)
	}
	data := make([]byte, 0, len(values)*d.Size())
	for _, v := range values {
		var err error
		if data, err = encodeOne(data, v, d); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func encodeOne(b []byte, v *tree, d abi.DType) ([]byte, error) {
	if d == abi.BOOL {
		if v.kind != treeBool {
			return nil, fmt.Errorf("BOOL wants true or false, not %s", v.kind)
		}
		if v.text == "true" {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	}
	if v.kind != treeNumber {
		return nil, fmt.Errorf("%s wants a number, not %s", d, v.kind)
	}
	switch d {
	case abi.UINT8, abi.UINT16, abi.UINT32, abi.UINT64:
		n, err := strconv.ParseUint(v.text, 10, 8*d.Size())
		if err != nil {
			return nil, fmt.Errorf("%s is no %s", v.text, d)
		}
		return appendInteger(b, n, d.Size()), nil
	case abi.INT8, abi.INT16, abi.INT32, abi.INT64:
		n, err := strconv.ParseInt(v.text, 10, 8*d.Size())
		if err != nil {
			return nil, fmt.Errorf("%s is no %s", v.text, d)
		}
		return appendInteger(b, uint64(n), d.Size()), nil
	default:
		return encodeFloat(b, v.text, d)
	}
}

// appendInteger appends the low bytes of n, little-endian.
func appendInteger(b []byte, n uint64, size int) []byte {
	var buf [8]byte
	binary.LittleEndian.PutUint64(buf[:], n)
	return append(b, buf[:size]...)
}

func encodeFloat(b []byte, text string, d abi.DType) ([]byte, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is no %s", text, d)
	}
	switch d {
	case abi.FP64:
		return appendInteger(b, math.Float64bits(f), 8), nil
	case abi.FP32:
		if math.IsInf(float64(float32(f)), 0) {
			return nil, fmt.Errorf("%s is too large for %s", text, d)
		}
		return appendInteger(b, uint64(math.Float32bits(float32(f))), 4), nil
	case abi.BF16:
		bits := math.Float32bits(float32(f))
		bits += 0x7FFF + bits>>16&1 // to the nearest, ties to even
		if bits>>16&0x7FFF >= 0x7F80 {
			return nil, fmt.Errorf("%s is too large for %s", text, d)
		}
		return appendInteger(b, uint64(bits>>16), 2), nil
	case abi.FP16:
		half, ok := float16(f)
		if !ok {
			return nil, fmt.Errorf("%s is too large for %s", text, d)
		}
		return appendInteger(b, uint64(half), 2), nil
	default:
		return nil, fmt.Errorf("constants of %s are not possible", d)
	}
}

// float16 rounds f to IEEE 754 binary16, to the nearest and ties to even; ok is false when it is too large.
func float16(f float64) (half uint16, ok bool) {
	var sign uint16
	if math.Signbit(f) {
		sign, f = 0x8000, -f
	}
	if f == 0 {
		return sign, true
	}
	_, e := math.Frexp(f)                        // f = x * 2^e with x in [0.5, 1)
	exp := max(e-1, -14)                         // of the leading bit; below 2^-14 numbers are subnormal
	n := math.RoundToEven(math.Ldexp(f, 10-exp)) // the significand with its 10 bits
	if n >= 2048 {
		n, exp = n/2, exp+1
	}
	if exp > 15 {
		return 0, false
	}
	if n < 1024 {
		return sign | uint16(n), true
	}
	return sign | uint16(exp+15)<<10 | (uint16(n) - 1024), true
}

// constant reads the constant of a binding for the port that it feeds; the source is SourceNone when it cannot be read.
func (c *compiler) constant(n *Node, b *Binding, port *Port) Source {
	doc, f := loadJSON(b.Value)
	if f != nil {
		f.Line, f.Column = b.Pos.Line, b.Pos.Column
		c.add(f.at(n.Name, b.Port))
		return Source{}
	}
	v, err := constantOf(doc, port.Type)
	if err != nil {
		c.add(faultf(CodeBadConstant, b.Pos, "the constant does not fit the port: %s", err).at(n.Name, b.Port).
			between(port.Type.String(), clip(string(b.Value), 80)))
		return Source{}
	}
	return Source{Kind: SourceConst, Const: v}
}

// edges returns what is known about a constant: one edge for each tensor in it.
func (v *Const) edges(s *state, list int) []*edge {
	if v.Kind == abi.KindList {
		var out []*edge
		for i := range v.Items {
			out = append(out, v.Items[i].edges(s, list)...)
		}
		return out
	}
	e := &edge{known: true, kind: v.Kind, list: list, dtype: v.DType}
	if v.Kind == abi.KindTensor {
		e.shape = []int{}
		for _, n := range v.Shape {
			e.shape = append(e.shape, s.fixed(n, "the constant"))
		}
	}
	return []*edge{e}
}

// defaults reads the defaults of the graph's inputs, after the nodes have narrowed their types.
func (c *compiler) defaults(s *state) []*Const {
	out := make([]*Const, len(c.g.Inputs))
	for i := range c.g.Inputs {
		in := &c.g.Inputs[i]
		if in.Default == nil || in.broken {
			continue
		}
		t := s.typeOf(&s.inputs[i])
		pos := in.Pos
		if in.defaultPos != (Pos{}) {
			pos = in.defaultPos
		}
		doc, f := loadJSON(in.Default)
		if f != nil {
			f.Line, f.Column = pos.Line, pos.Column
			c.add(f.at("", in.Name))
			continue
		}
		v, err := constantOf(doc, t)
		if err == nil {
			err = v.fits(t, Bindings{})
		}
		if mismatch := (*Mismatch)(nil); errors.As(err, &mismatch) {
			err = errors.New(mismatch.Detail)
		}
		if err != nil {
			c.add(faultf(CodeBadConstant, pos, "the default does not fit the input: %s", err).at("", in.Name).
				between(t.String(), clip(string(in.Default), 80)))
		}
		out[i] = v
	}
	return out
}

// fits checks a constant and its items against a type.
func (v *Const) fits(t Type, b Bindings) error {
	if t.List == 0 {
		return t.Check(v.Kind, v.DType, v.Shape, b)
	}
	t.List--
	for i := range v.Items {
		if err := v.Items[i].fits(t, b); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	return nil
}
