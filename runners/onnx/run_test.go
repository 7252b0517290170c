//go:build cgo && (linux || darwin)

package onnx_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func run(t *testing.T, m *onnx.Model, in ...runners.Tensor) []runners.Tensor {
	t.Helper()
	out := make([]runners.Tensor, len(m.Signature().Outputs))
	if err := m.Run(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// text returns the one element of a scalar BYTES tensor.
func text(t *testing.T, x runners.Tensor) string {
	t.Helper()
	elems, err := runners.UnpackBytes(x.Data, 1)
	if err != nil || x.DType != runners.BYTES || len(x.Shape) != 0 {
		t.Fatalf("got %s %v, %v, want one string", x.DType, x.Shape, err)
	}
	return string(elems[0])
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	two := []int64{1, 2}
	for _, test := range []struct {
		name  string
		model onnxtest.Model
		in    []runners.Tensor
		want  string
	}{
		{"maps by number", onnxtest.ZipMap([]int64{7, -3}), []runners.Tensor{runnertest.FP32(two, 0.25, 0.75)}, `[{"-3":0.75,"7":0.25}]`},
		{"maps by name", onnxtest.ZipMap([]string{`a "quoted" cat`, "dog"}), []runners.Tensor{runnertest.FP32(two, 0.1, 1e-7)}, `[{"a \"quoted\" cat":0.1,"dog":1e-07}]`},
		{"no numbers", onnxtest.ZipMap([]int64{0, 1}), []runners.Tensor{runnertest.FP32([]int64{2, 2}, nan, inf, -inf, 0)}, `[{"0":"NaN","1":"Infinity"},{"0":"-Infinity","1":0}]`},
		{"tensors", onnxtest.Sequence(runners.INT64), []runners.Tensor{runnertest.INT64([]int64{2, 2}, 1, 2, 3, 4), runnertest.INT64([]int64{0}, []int64{}...)}, `[[[1,2],[3,4]],[]]`},
		{"scalars", onnxtest.Sequence(runners.FP32), []runners.Tensor{runnertest.FP32([]int64{}, 1.5), runnertest.FP32([]int64{1, 1}, -2)}, `[1.5,[[-2]]]`},
		{"strings", onnxtest.Sequence(runners.BYTES), []runners.Tensor{runnertest.Strings([]int64{2}, "", "grün"), runnertest.Strings([]int64{}, "x")}, `[["","grün"],"x"]`},
	} {
		m := load(t, test.model, onnx.Options{})
		out := run(t, m, test.in...)
		if got := text(t, out[0]); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestStringsThroughAnOperator(t *testing.T) {
	t.Parallel()
	m := load(t, onnxtest.Upper(), onnx.Options{})
	out := run(t, m, runnertest.Strings([]int64{4}, "yes", "grün", "no", "maybe"))
	defer out[0].Release()
	want := runnertest.Strings([]int64{4}, "YES", "GRÜN", "NO", "_Unused")
	if diff := cmp.Diff(want.Data, out[0].Data); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

// The size of NonZero's output depends on the data: it is known after the run only.
func TestDataDependentOutput(t *testing.T) {
	t.Parallel()
	m := load(t, onnxtest.NonZero(), onnx.Options{})
	x := runners.Tensor{DType: runners.BOOL, Shape: []int64{5}, Data: []byte{0, 1, 0, 1, 1}}
	out := run(t, m, x)
	defer out[0].Release()
	if diff := cmp.Diff(runnertest.INT64([]int64{1, 3}, 1, 3, 4).Data, out[0].Data); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for n := range int64(5) {
		room := runners.Tensor{DType: runners.INT64, Shape: []int64{1, n}, Data: make([]byte, 8*n)}
		err := m.Run(t.Context(), []runners.Tensor{x}, []runners.Tensor{room})
		if (err == nil) != (n == 3) || err != nil && !errors.Is(err, runners.ErrShape) {
			t.Errorf("room for %d: got %v", n, err)
		}
	}
}

// A model may hand its input through, or give a constant: what is adopted is neither the input's memory nor gone with the
// model.
func TestOutputsThatNothingComputes(t *testing.T) {
	t.Parallel()
	dims := []runners.Dim{onnxtest.Batch()}
	through := onnxtest.Model{Graph: onnxtest.Graph{
		Name:    "through",
		Inputs:  []onnxtest.Value{{Name: "x", DType: runners.FP32, Dims: dims}},
		Outputs: []onnxtest.Value{{Name: "x", DType: runners.FP32, Dims: dims}},
	}}
	constant := onnxtest.Weighted([]float32{4, 5, 6}, "")
	constant.Graph.Outputs = append(constant.Graph.Outputs, onnxtest.Value{Name: "w", DType: runners.FP32, Dims: onnxtest.Fixed(3)})
	folded := onnxtest.Weighted([]float32{4, 5, 6}, "")
	folded.Graph.Nodes = append(folded.Graph.Nodes, onnxtest.Node{Op: "Neg", In: []string{"w"}, Out: []string{"z"}})
	folded.Graph.Outputs = append(folded.Graph.Outputs, onnxtest.Value{Name: "z", DType: runners.FP32, Dims: onnxtest.Fixed(3)})
	for _, test := range []struct {
		name  string
		model onnxtest.Model
		in    runners.Tensor
		at    int
		want  []float32
	}{
		{"handed through", through, runnertest.FP32([]int64{3}, 1, 2, 3), 0, []float32{1, 2, 3}},
		{"constant", constant, runnertest.FP32([]int64{1, 3}, 1, 2, 3), 1, []float32{4, 5, 6}},
		{"folded", folded, runnertest.FP32([]int64{1, 3}, 1, 2, 3), 1, []float32{-4, -5, -6}},
	} {
		m, err := open(t).Load(t.Context(), test.model.Bytes(), onnx.Options{})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		out := run(t, m, test.in)
		bound := make([]runners.Tensor, len(out))
		bound[test.at] = runners.Tensor{DType: runners.FP32, Shape: []int64{3}, Data: make([]byte, 12)}
		if err := m.Run(t.Context(), []runners.Tensor{test.in}, bound); err != nil {
			t.Fatalf("%s, bound: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, runnertest.Floats(bound[test.at])); diff != "" {
			t.Errorf("%s, bound (-want +got):\n%s", test.name, diff)
		}
		bound[0].Release()
		bound[test.at] = runners.Tensor{DType: runners.FP32, Shape: []int64{4}, Data: make([]byte, 16)}
		err = m.Run(t.Context(), []runners.Tensor{test.in}, bound)
		if !errors.Is(err, runners.ErrShape) {
			t.Errorf("%s, room of another shape: got %v, want ErrShape", test.name, err)
		}
		clear(test.in.Data)
		other := run(t, m, test.in)
		for i := range other[test.at].Data {
			other[test.at].Data[i] = 0xee
		}
		third := run(t, m, test.in)
		if test.name != "handed through" {
			if diff := cmp.Diff(test.want, runnertest.Floats(third[test.at])); diff != "" {
				t.Errorf("%s: a caller changed the model's constant (-want +got):\n%s", test.name, diff)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, runnertest.Floats(out[test.at])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		for _, tensors := range [][]runners.Tensor{out, other, third} {
			for i := range tensors {
				tensors[i].Release()
			}
		}
	}
}

// Inputs may lie in memory that is not Go's and cannot be written.
func TestReadOnlyInput(t *testing.T) {
	t.Parallel()
	mapped, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	copy(mapped, runnertest.FP32(nil, 1, 2, 3).Data)
	if err := syscall.Mprotect(mapped, syscall.PROT_READ); err != nil {
		t.Fatal(err)
	}
	m := load(t, onnxtest.AddSub(), onnx.Options{})
	x := runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3}, Data: mapped[:12]}
	out := run(t, m, x, x)
	if diff := cmp.Diff([]float32{2, 4, 6}, runnertest.Floats(out[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out[0].Release()
	out[1].Release()
	if err := syscall.Munmap(mapped); err != nil {
		t.Fatal(err)
	}
}

// Go's memory allocator gives small byte slices no alignment to speak of.
func TestUnalignedInput(t *testing.T) {
	t.Parallel()
	m := load(t, onnxtest.AddSub(), onnx.Options{})
	in, want := make([]byte, 13), make([]byte, 13)
	copy(in[1:], runnertest.FP32(nil, 1, 2, 3).Data)
	x := runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3}, Data: in[1:]}
	bound := []runners.Tensor{{DType: runners.FP32, Shape: []int64{1, 3}, Data: want[1:]}, {}}
	if err := m.Run(t.Context(), []runners.Tensor{x, x}, bound); err != nil {
		t.Fatal(err)
	}
	bound[1].Release()
	if diff := cmp.Diff([]float32{2, 4, 6}, runnertest.Floats(bound[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What ONNX Runtime says is told apart by its words; these are the ones of the version in use.
func TestRunErrors(t *testing.T) {
	t.Parallel()
	addSub := load(t, onnxtest.AddSub(), onnx.Options{})
	broken := load(t, onnxtest.Broken(), onnx.Options{})
	identity := load(t, onnxtest.Identity(runners.FP32, nil), onnx.Options{})
	long := runnertest.FP32([]int64{7}, 1, 2, 3, 4, 5, 6, 7)
	for _, test := range []struct {
		name  string
		model *onnx.Model
		in    []runners.Tensor
		out   []runners.Tensor
		kind  error
		want  string
	}{
		{"operator", broken, []runners.Tensor{long}, make([]runners.Tensor, 1), runners.ErrRun, "indices element out of data bounds"},
		{"inputs that do not meet", addSub, []runners.Tensor{runnertest.FP32([]int64{2, 3}, 1, 2, 3, 4, 5, 6), runnertest.FP32([]int64{3, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9)}, make([]runners.Tensor, 2), runners.ErrRun, "Attempting to broadcast"},
		{"room of another shape", identity, []runners.Tensor{long}, []runners.Tensor{{DType: runners.FP32, Shape: []int64{1, 7}, Data: make([]byte, 28)}}, runners.ErrShape, "{1,7}"},
		{"room of another size", identity, []runners.Tensor{long}, []runners.Tensor{{DType: runners.FP32, Shape: []int64{8}, Data: make([]byte, 32)}}, runners.ErrShape, "{8}"},
	} {
		err := test.model.Run(t.Context(), test.in, test.out)
		if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %v with %q", test.name, err, test.kind, test.want)
			continue
		}
		if strings.Contains(err.Error(), "onnxruntime_src") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: not for people: %q", test.name, err)
		}
	}
}

func TestRealModel(t *testing.T) {
	t.Parallel()
	in := make([]float32, 2*3*48*96)
	for i := range in {
		in[i] = float32(i%255)/127.5 - 1
	}
	x := runnertest.FP32([]int64{2, 3, 48, 96}, in...)
	var first []byte
	for _, threads := range []int{0, 1, 2} {
		m, err := open(t).LoadFile(t.Context(), ocrModels(t)[2], onnx.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, m, x)
		if diff := cmp.Diff([]int64{2, 2}, out[0].Shape); diff != "" {
			t.Fatalf("shape (-want +got):\n%s", diff)
		}
		if first == nil {
			first = append(first, out[0].Data...)
		}
		if diff := cmp.Diff(first, out[0].Data); diff != "" {
			t.Errorf("%d threads give another answer (-want +got):\n%s", threads, diff)
		}
		if p := runnertest.Floats(out[0]); math.Abs(float64(p[0]+p[1])-1) > 1e-5 {
			t.Errorf("%d threads: got %v, want probabilities", threads, p)
		}
		out[0].Release()
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A run into the caller's memory allocates nothing, however large its tensors are.
func TestAllocations(t *testing.T) {
	m := load(t, onnxtest.AddSub(), onnx.Options{})
	forever := context.WithoutCancel(t.Context())
	for _, rows := range []int64{1, 10_000} {
		a := runners.Tensor{DType: runners.FP32, Shape: []int64{rows, 3}, Data: make([]byte, 12*rows)}
		b := runners.Tensor{DType: runners.FP32, Shape: []int64{rows, 3}, Data: make([]byte, 12*rows)}
		in, bound := []runners.Tensor{a, b}, []runners.Tensor{a, b}
		bound[0].Data, bound[1].Data = make([]byte, 12*rows), make([]byte, 12*rows)
		adopted := make([]runners.Tensor, 2)
		for _, test := range []struct {
			name string
			ctx  context.Context
			out  []runners.Tensor
			most float64
		}{
			{"bound", forever, bound, 0},
			{"bound, with a context that can end", t.Context(), bound, 3},
			{"adopted", forever, adopted, 4}, // for each output its shape and how to give it back
		} {
			got := testing.AllocsPerRun(100, func() {
				if err := m.Run(test.ctx, in, test.out); err != nil {
					t.Fatal(err)
				}
				test.out[0].Release()
				test.out[1].Release()
			})
			if got > test.most {
				t.Errorf("%s, %d rows: got %v allocations, want at most %v", test.name, rows, got, test.most)
			}
		}
	}
}

func TestHalfNumbers(t *testing.T) {
	t.Parallel()
	m := load(t, onnxtest.Sequence(runners.FP16), onnx.Options{})
	var data []byte
	for _, bits := range []uint16{0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x0400, 0x7c00, 0xfc00, 0x7e00, 0x3555} {
		data = binary.LittleEndian.AppendUint16(data, bits)
	}
	x := runners.Tensor{DType: runners.FP16, Shape: []int64{int64(len(data) / 2)}, Data: data}
	none := runners.Tensor{DType: runners.FP16, Shape: []int64{0}, Data: []byte{}}
	want := `[[0,-0,1,-2,65504,5.9604645e-08,-6.097555e-05,6.1035156e-05,"Infinity","-Infinity","NaN",0.33325195],[]]`
	if got := text(t, run(t, m, x, none)[0]); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// Operators that change nothing but the shape, or nothing at all, may be done in place or left out: the caller's memory has
// to be written all the same, and the input's left alone.
func TestOperatorsInPlace(t *testing.T) {
	t.Parallel()
	one := onnxtest.Tensor{Name: "shape", DType: runners.INT64, Dims: []int64{1}, Raw: []byte{3, 0, 0, 0, 0, 0, 0, 0}}
	for _, test := range []struct {
		node  onnxtest.Node
		shape []int64
	}{
		{onnxtest.Node{Op: "Flatten", In: []string{"x"}, Out: []string{"y"}, Attrs: []onnxtest.Attr{{Name: "axis", Int: 0}}}, []int64{1, 3}},
		{onnxtest.Node{Op: "Dropout", In: []string{"x"}, Out: []string{"y"}}, []int64{3}},
		{onnxtest.Node{Op: "Cast", In: []string{"x"}, Out: []string{"y"}, Attrs: []onnxtest.Attr{{Name: "to", Int: 1}}}, []int64{3}},
		{onnxtest.Node{Op: "Reshape", In: []string{"x", "shape"}, Out: []string{"y"}}, []int64{3}},
		{onnxtest.Node{Op: "Identity", In: []string{"x"}, Out: []string{"y"}}, []int64{3}},
		{onnxtest.Node{Op: "Transpose", In: []string{"x"}, Out: []string{"y"}}, []int64{3}},
		{onnxtest.Node{Op: "Relu", In: []string{"x"}, Out: []string{"y"}}, []int64{3}},
	} {
		m := load(t, onnxtest.Model{Graph: onnxtest.Graph{
			Name:    test.node.Op,
			Nodes:   []onnxtest.Node{test.node},
			Inits:   []onnxtest.Tensor{one},
			Inputs:  []onnxtest.Value{{Name: "x", DType: runners.FP32, Dims: []runners.Dim{onnxtest.Batch()}}},
			Outputs: []onnxtest.Value{{Name: "y", DType: runners.FP32}},
		}}, onnx.Options{})
		x := runnertest.FP32([]int64{3}, 1, 2, 3)
		bound := []runners.Tensor{{DType: runners.FP32, Shape: test.shape, Data: make([]byte, 12)}}
		if err := m.Run(t.Context(), []runners.Tensor{x}, bound); err != nil {
			t.Errorf("%s, bound: %v", test.node.Op, err)
			continue
		}
		adopted := run(t, m, x)
		clear(x.Data)
		for _, out := range []runners.Tensor{bound[0], adopted[0]} {
			if diff := cmp.Diff([]float32{1, 2, 3}, runnertest.Floats(out)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.node.Op, diff)
			}
		}
		adopted[0].Release()
	}
}
