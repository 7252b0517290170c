package graph

import (
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/runners"
)

// Type says what values an edge or a port carries. The zero Type is unknown.
type Type struct {
	// Kind of the value, or of the innermost items when List is above 0. Never abi.KindList.
	Kind abi.Kind
	// DType is the element type of tensors; abi.DTypeNone means any.
	DType abi.DType
	// Shape of tensors; nil means any rank, empty and not nil a scalar. A name is equal wherever it stands in one
	// signature, except in list ports: a name that stands only in list ports may differ from item to item.
	Shape []abi.Dim
	// List is how many lists stand around the value: 0 for a plain value, 1 for a list, 2 for a list of lists.
	List int
}

// Port is one named input or output of what a node runs.
type Port struct {
	Name string
	Type Type
	// Optional inputs may be left unconnected; optional outputs (of graphs) may be absent from an answer.
	Optional bool
}

// ModelType is the signature of a model.
type ModelType struct {
	Inputs  []Port
	Outputs []Port
}

// GraphType is the signature of a graph that another graph uses as a node.
type GraphType struct {
	Inputs  []Port
	Outputs []Port
	// Height is the depth of graphs in this graph: 0 when it uses none.
	Height int
}

// String returns the type as a definition writes it: "text", "tensor FP32 [batch,3,h,w]", "list of image".
func (t Type) String() string {
	if t.Kind == abi.KindNone {
		return "unknown"
	}
	var b strings.Builder
	for range t.List {
		b.WriteString("list of ")
	}
	b.WriteString(t.Kind.String())
	if t.Kind != abi.KindTensor {
		return b.String()
	}
	if t.DType != abi.DTypeNone {
		b.WriteString(" " + t.DType.String())
	}
	if t.Shape != nil {
		b.WriteString(" " + shapeString(t.Shape))
	}
	return b.String()
}

func shapeString(shape []abi.Dim) string {
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// ModelTypeOf converts a runner's signature. Dimensions without a name become "?"; ports that carry JSON become json.
func ModelTypeOf(sig runners.Signature) *ModelType {
	return &ModelType{Inputs: runnerPorts(sig.Inputs), Outputs: runnerPorts(sig.Outputs)}
}

func runnerPorts(in []runners.Port) []Port {
	out := make([]Port, len(in))
	for i, p := range in {
		out[i] = Port{Name: p.Name, Type: Type{Kind: abi.KindTensor, DType: abi.DType(p.DType), Shape: runnerShape(p.Dims)}}
		if p.JSON {
			out[i].Type = Type{Kind: abi.KindJSON}
		}
	}
	return out
}

func runnerShape(dims []runners.Dim) []abi.Dim {
	if dims == nil {
		return nil
	}
	shape := make([]abi.Dim, len(dims))
	for i, d := range dims {
		switch {
		case d.Size >= 0:
			shape[i] = abi.Dim{Size: d.Size}
		case d.Name != "" && d.Name != "?":
			shape[i] = abi.Dim{Name: d.Name}
		default:
			shape[i] = abi.Dim{Any: true}
		}
	}
	return shape
}
