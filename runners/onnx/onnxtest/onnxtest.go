// Package onnxtest builds tiny ONNX models for tests, writing the protobuf by hand: no Python and no download is needed to
// have a model of a given dtype, rank or fault. It knows of the format only what the models here use.
package onnxtest

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tandem-serve/tandem/runners"
)

// Opset and IRVersion are what the models declare unless they say otherwise. Opset 16 takes BF16 in Identity and Add and is
// old enough for every library this project accepts.
const (
	Opset     = 16
	IRVersion = 8
)

// Model is a ModelProto.
type Model struct {
	IRVersion int64            // 0 means IRVersion
	Opsets    map[string]int64 // nil means {"": Opset, "ai.onnx.ml": 3}
	Producer  string
	Doc       string
	Graph     Graph
	Functions []Function
}

// Graph is a GraphProto.
type Graph struct {
	Name    string
	Nodes   []Node
	Inits   []Tensor
	Inputs  []Value
	Outputs []Value
}

// Function is a FunctionProto: an operator of the model's own.
type Function struct {
	Name, Domain    string
	Inputs, Outputs []string
	Nodes           []Node
}

// Node is a NodeProto.
type Node struct {
	Op, Domain string
	In, Out    []string
	Attrs      []Attr
}

// Attr is an AttributeProto; the one field that is set counts, Int when none is.
type Attr struct {
	Name    string
	Int     int64
	Ints    []int64
	Strings []string
	Tensor  *Tensor
	Graph   *Graph
}

// Tensor is a TensorProto. External, when set, is the location of its data outside the model instead of Raw.
type Tensor struct {
	Name     string
	DType    runners.DType
	Dims     []int64
	Raw      []byte
	External string
}

// Value is a ValueInfoProto. Dims is nil when the rank is not said. Type, when set, is the encoded TypeProto to use instead.
type Value struct {
	Name  string
	DType runners.DType
	Dims  []runners.Dim
	Type  []byte
}

// Bytes encodes m.
func (m Model) Bytes() []byte {
	var b []byte
	ir := m.IRVersion
	if ir == 0 {
		ir = IRVersion
	}
	b = appendInt(b, 1, ir)
	b = appendString(b, 2, m.Producer)
	b = appendString(b, 6, m.Doc)
	b = appendBytes(b, 7, m.Graph.bytes())
	opsets := m.Opsets
	if opsets == nil {
		opsets = map[string]int64{"": Opset, "ai.onnx.ml": 3}
	}
	for _, domain := range slices.Sorted(maps.Keys(opsets)) {
		b = appendBytes(b, 8, appendInt(appendString(nil, 1, domain), 2, opsets[domain]))
	}
	for _, f := range m.Functions {
		b = appendBytes(b, 25, f.bytes())
	}
	return b
}

func (g Graph) bytes() []byte {
	var b []byte
	for _, n := range g.Nodes {
		b = appendBytes(b, 1, n.bytes())
	}
	b = appendString(b, 2, g.Name)
	for _, t := range g.Inits {
		b = appendBytes(b, 5, t.bytes())
	}
	for _, v := range g.Inputs {
		b = appendBytes(b, 11, v.bytes())
	}
	for _, v := range g.Outputs {
		b = appendBytes(b, 12, v.bytes())
	}
	return b
}

func (f Function) bytes() []byte {
	b := appendString(nil, 1, f.Name)
	for _, s := range f.Inputs {
		b = appendBytes(b, 4, []byte(s))
	}
	for _, s := range f.Outputs {
		b = appendBytes(b, 5, []byte(s))
	}
	for _, n := range f.Nodes {
		b = appendBytes(b, 7, n.bytes())
	}
	b = appendBytes(b, 9, appendInt(nil, 2, Opset))
	return appendString(b, 10, f.Domain)
}

func (n Node) bytes() []byte {
	var b []byte
	for _, s := range n.In {
		b = appendBytes(b, 1, []byte(s))
	}
	for _, s := range n.Out {
		b = appendBytes(b, 2, []byte(s))
	}
	b = appendString(b, 3, n.Op+" of "+n.Out[0])
	b = appendString(b, 4, n.Op)
	for _, a := range n.Attrs {
		b = appendBytes(b, 5, a.bytes())
	}
	return appendString(b, 7, n.Domain)
}

func (a Attr) bytes() []byte {
	b := appendString(nil, 1, a.Name)
	switch {
	case a.Tensor != nil:
		return appendInt(appendBytes(b, 5, a.Tensor.bytes()), 20, 4)
	case a.Graph != nil:
		return appendInt(appendBytes(b, 6, a.Graph.bytes()), 20, 5)
	case a.Ints != nil:
		for _, i := range a.Ints {
			b = appendInt(b, 8, i)
		}
		return appendInt(b, 20, 7)
	case a.Strings != nil:
		for _, s := range a.Strings {
			b = appendBytes(b, 9, []byte(s))
		}
		return appendInt(b, 20, 8)
	}
	return appendInt(appendInt(b, 3, a.Int), 20, 2)
}

func (t Tensor) bytes() []byte {
	var b []byte
	for _, d := range t.Dims {
		b = appendInt(b, 1, d)
	}
	b = appendInt(b, 2, int64(t.DType))
	b = appendString(b, 8, t.Name)
	if t.External != "" {
		b = appendBytes(b, 13, appendString(appendString(nil, 1, "location"), 2, t.External))
		return appendInt(b, 14, 1)
	}
	return appendBytes(b, 9, t.Raw)
}

func (v Value) bytes() []byte {
	typ := v.Type
	if typ == nil {
		typ = TensorType(v.DType, v.Dims)
	}
	return appendBytes(appendString(nil, 1, v.Name), 2, typ)
}

// TensorType encodes the TypeProto of a tensor; dims nil says nothing of the rank.
func TensorType(d runners.DType, dims []runners.Dim) []byte {
	tensor := appendInt(nil, 1, int64(d))
	if dims != nil {
		var shape []byte
		for _, dim := range dims {
			var b []byte
			switch {
			case dim.Size >= 0:
				b = appendInt(nil, 1, dim.Size)
			case dim.Name != "":
				b = appendString(nil, 2, dim.Name)
			}
			shape = appendBytes(shape, 1, b)
		}
		tensor = appendBytes(tensor, 2, shape)
	}
	return appendBytes(nil, 1, tensor)
}

// SequenceType encodes the TypeProto of a sequence of elem.
func SequenceType(elem []byte) []byte { return appendBytes(nil, 4, appendBytes(nil, 1, elem)) }

// MapType encodes the TypeProto of a map from key to elem.
func MapType(key runners.DType, elem []byte) []byte {
	return appendBytes(nil, 5, appendBytes(appendInt(nil, 1, int64(key)), 2, elem))
}

// OptionalType encodes the TypeProto of an optional elem.
func OptionalType(elem []byte) []byte { return appendBytes(nil, 9, appendBytes(nil, 1, elem)) }

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// appendString leaves an empty string out, as protobuf does.
func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendBytes(b, field, []byte(s))
}
