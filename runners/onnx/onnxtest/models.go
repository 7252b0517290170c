package onnxtest

import (
	"encoding/binary"
	"math"

	"github.com/tandem-serve/tandem/runners"
)

// Batch is the dynamic first dimension of the models here.
func Batch() runners.Dim { return runners.Dim{Size: -1, Name: "batch"} }

// Fixed returns dimensions of known size.
func Fixed(sizes ...int64) []runners.Dim {
	dims := make([]runners.Dim, len(sizes))
	for i, s := range sizes {
		dims[i].Size = s
	}
	return dims
}

// AddSub returns the model of a and b, FP32 [batch, 3], giving sum and difference of the same shape.
func AddSub() Model {
	dims := append([]runners.Dim{Batch()}, Fixed(3)...)
	return Model{
		Producer: "tandem onnxtest", Doc: "adds and subtracts",
		Graph: Graph{
			Name:    "add_sub",
			Nodes:   []Node{{Op: "Add", In: []string{"a", "b"}, Out: []string{"sum"}}, {Op: "Sub", In: []string{"a", "b"}, Out: []string{"difference"}}},
			Inputs:  []Value{{Name: "a", DType: runners.FP32, Dims: dims}, {Name: "b", DType: runners.FP32, Dims: dims}},
			Outputs: []Value{{Name: "sum", DType: runners.FP32, Dims: dims}, {Name: "difference", DType: runners.FP32, Dims: dims}},
		},
	}
}

// Identity returns the model that gives back its input x as y, of the dtype and dims; dims nil leaves the rank open.
func Identity(d runners.DType, dims []runners.Dim) Model {
	return Model{Graph: Graph{
		Name:    "identity_" + d.String(),
		Nodes:   []Node{{Op: "Identity", In: []string{"x"}, Out: []string{"y"}}},
		Inputs:  []Value{{Name: "x", DType: d, Dims: dims}},
		Outputs: []Value{{Name: "y", DType: d, Dims: dims}},
	}}
}

// NonZero returns the model that gives the positions of x's true elements, x BOOL [n], y INT64 [1, found]: the size of the
// output depends on the data.
func NonZero() Model {
	return Model{Graph: Graph{
		Name:    "non_zero",
		Nodes:   []Node{{Op: "NonZero", In: []string{"x"}, Out: []string{"y"}}},
		Inputs:  []Value{{Name: "x", DType: runners.BOOL, Dims: []runners.Dim{{Size: -1, Name: "n"}}}},
		Outputs: []Value{{Name: "y", DType: runners.INT64, Dims: []runners.Dim{{Size: 1}, {Size: -1, Name: "found"}}}},
	}}
}

// Upper returns the model that makes strings upper case, x and y BYTES [batch].
func Upper() Model {
	dims := []runners.Dim{Batch()}
	return Model{Graph: Graph{
		Name: "upper",
		Nodes: []Node{{Op: "LabelEncoder", Domain: "ai.onnx.ml", In: []string{"x"}, Out: []string{"y"}, Attrs: []Attr{
			{Name: "keys_strings", Strings: []string{"yes", "no", "grün"}},
			{Name: "values_strings", Strings: []string{"YES", "NO", "GRÜN"}},
		}}},
		Inputs:  []Value{{Name: "x", DType: runners.BYTES, Dims: dims}},
		Outputs: []Value{{Name: "y", DType: runners.BYTES, Dims: dims}},
	}}
}

// ZipMap returns the model that turns scores FP32 [batch, len(labels)] into a sequence of maps from label to score, as
// exports of scikit-learn do. labels is an []int64 or a []string.
func ZipMap(labels any) Model {
	key, n := runners.INT64, int64(0)
	attr := Attr{Name: "classlabels_int64s"}
	switch l := labels.(type) {
	case []int64:
		attr.Ints, n = l, int64(len(l))
	case []string:
		key, n = runners.BYTES, int64(len(l))
		attr = Attr{Name: "classlabels_strings", Strings: l}
	}
	score := TensorType(runners.FP32, []runners.Dim{})
	return Model{Graph: Graph{
		Name:    "zip_map",
		Nodes:   []Node{{Op: "ZipMap", Domain: "ai.onnx.ml", In: []string{"scores"}, Out: []string{"probabilities"}, Attrs: []Attr{attr}}},
		Inputs:  []Value{{Name: "scores", DType: runners.FP32, Dims: []runners.Dim{Batch(), {Size: n}}}},
		Outputs: []Value{{Name: "probabilities", Type: SequenceType(MapType(key, score))}},
	}}
}

// Sequence returns the model that makes a sequence of its two inputs a and b of the dtype and any shape.
func Sequence(d runners.DType) Model {
	return Model{Graph: Graph{
		Name:    "sequence",
		Nodes:   []Node{{Op: "SequenceConstruct", In: []string{"a", "b"}, Out: []string{"s"}}},
		Inputs:  []Value{{Name: "a", DType: d}, {Name: "b", DType: d}},
		Outputs: []Value{{Name: "s", Type: SequenceType(TensorType(d, nil))}},
	}}
}

// Slow returns a model whose running time is chosen by its input steps, INT64 of rank 0: it multiplies x, FP32 [n, n], by
// itself that many times and gives the product y. Let x be the identity matrix to get it back.
func Slow() Model {
	square := []runners.Dim{{Size: -1, Name: "n"}, {Size: -1, Name: "n"}}
	scalar := []runners.Dim{}
	body := Graph{
		Name: "body",
		Nodes: []Node{
			{Op: "MatMul", In: []string{"product", "x"}, Out: []string{"next"}},
			{Op: "Identity", In: []string{"go_on"}, Out: []string{"still"}},
		},
		Inputs:  []Value{{Name: "i", DType: runners.INT64, Dims: scalar}, {Name: "go_on", DType: runners.BOOL, Dims: scalar}, {Name: "product", DType: runners.FP32, Dims: square}},
		Outputs: []Value{{Name: "still", DType: runners.BOOL, Dims: scalar}, {Name: "next", DType: runners.FP32, Dims: square}},
	}
	return Model{Graph: Graph{
		Name:    "slow",
		Nodes:   []Node{{Op: "Loop", In: []string{"steps", "", "x"}, Out: []string{"y"}, Attrs: []Attr{{Name: "body", Graph: &body}}}},
		Inputs:  []Value{{Name: "steps", DType: runners.INT64, Dims: scalar}, {Name: "x", DType: runners.FP32, Dims: square}},
		Outputs: []Value{{Name: "y", DType: runners.FP32, Dims: square}},
	}}
}

// Heavy returns the model y = x times x for x and y INT32 [n, n]: one operator, which nothing ends before it has. It takes seconds
// for an n of some thousands.
func Heavy() Model {
	square := []runners.Dim{{Size: -1, Name: "n"}, {Size: -1, Name: "n"}}
	return Model{Graph: Graph{
		Name:    "heavy",
		Nodes:   []Node{{Op: "MatMul", In: []string{"x", "x"}, Out: []string{"y"}}},
		Inputs:  []Value{{Name: "x", DType: runners.INT32, Dims: square}},
		Outputs: []Value{{Name: "y", DType: runners.INT32, Dims: square}},
	}}
}

// Broken returns the model that gives back x, FP32 of any shape, as y, but fails while it runs when x has 7 elements or more:
// it looks their number up in a table of 7 zeros.
func Broken() Model {
	return Model{Graph: Graph{
		Name: "broken",
		Nodes: []Node{
			{Op: "Size", In: []string{"x"}, Out: []string{"size"}},
			{Op: "Gather", In: []string{"zeros", "size"}, Out: []string{"zero"}},
			{Op: "Add", In: []string{"x", "zero"}, Out: []string{"y"}},
		},
		Inits:   []Tensor{{Name: "zeros", DType: runners.FP32, Dims: []int64{7}, Raw: make([]byte, 28)}},
		Inputs:  []Value{{Name: "x", DType: runners.FP32}},
		Outputs: []Value{{Name: "y", DType: runners.FP32}},
	}}
}

// Quotient returns the model y = a / b for INT64 [n]. The smallest number by -1 does not fit an INT64: ONNX Runtime 1.30 refuses to divide
// by 0, not that, and a processor of amd64 ends the process for it.
func Quotient() Model {
	n := []runners.Dim{{Size: -1, Name: "n"}}
	return Model{Graph: Graph{
		Name:    "quotient",
		Nodes:   []Node{{Op: "Div", In: []string{"a", "b"}, Out: []string{"y"}}},
		Inputs:  []Value{{Name: "a", DType: runners.INT64, Dims: n}, {Name: "b", DType: runners.INT64, Dims: n}},
		Outputs: []Value{{Name: "y", DType: runners.INT64, Dims: n}},
	}}
}

// Weighted returns the model y = x * w for x and y FP32 [batch, n] with the weights w in the file, or outside it at the
// location external when that is not empty.
func Weighted(w []float32, external string) Model {
	raw := make([]byte, 0, 4*len(w))
	for _, f := range w {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	n := int64(len(w))
	dims := []runners.Dim{Batch(), {Size: n}}
	return Model{Graph: Graph{
		Name:    "weighted",
		Nodes:   []Node{{Op: "Mul", In: []string{"x", "w"}, Out: []string{"y"}}},
		Inits:   []Tensor{{Name: "w", DType: runners.FP32, Dims: []int64{n}, Raw: raw, External: external}},
		Inputs:  []Value{{Name: "x", DType: runners.FP32, Dims: dims}},
		Outputs: []Value{{Name: "y", DType: runners.FP32, Dims: dims}},
	}}
}

// Vast returns a model that makes as many zeros as its input n, INT64 [1], says, FP32 each, and gives their sum y, FP32 [1]: a
// request of eight bytes takes as much memory as it likes.
func Vast() Model {
	one := Fixed(1)
	return Model{Graph: Graph{
		Name: "vast",
		Nodes: []Node{
			{Op: "ConstantOfShape", In: []string{"n"}, Out: []string{"zeros"}},
			{Op: "ReduceSum", In: []string{"zeros"}, Out: []string{"y"}},
		},
		Inputs:  []Value{{Name: "n", DType: runners.INT64, Dims: one}},
		Outputs: []Value{{Name: "y", DType: runners.FP32, Dims: one}},
	}}
}

// Huge returns the model that gives y, FP32 of the shape that its input shape, INT64 [1], says: as much memory as one asks for.
func Huge() Model {
	return Model{Graph: Graph{
		Name:    "huge",
		Nodes:   []Node{{Op: "ConstantOfShape", In: []string{"shape"}, Out: []string{"y"}}},
		Inputs:  []Value{{Name: "shape", DType: runners.INT64, Dims: Fixed(1)}},
		Outputs: []Value{{Name: "y", DType: runners.FP32, Dims: []runners.Dim{{Size: -1, Name: "n"}}}},
	}}
}
