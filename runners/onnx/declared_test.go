//go:build cgo && (linux || darwin)

package onnx_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
)

// TestDeclaredIsWhatLoads compares what files declare with what ONNX Runtime says of the same models.
func TestDeclaredIsWhatLoads(t *testing.T) {
	files, err := filepath.Glob("testdata/*.onnx")
	examples, err2 := filepath.Glob("../../examples/models/*.onnx")
	if err = errors.Join(err, err2); err != nil || len(files) == 0 || len(examples) == 0 {
		t.Fatalf("no models: %v", err)
	}
	rt := open(t)
	for _, file := range append(files, examples...) {
		model, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := rt.Load(t.Context(), model, onnx.Options{})
		if err != nil {
			continue // files that are there to be refused
		}
		got, err := onnx.Declared(model)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		want := loaded.Signature()
		for i := range got.Outputs { // ONNX Runtime works out sizes that the file leaves open, and leaves out their names
			if i < len(want.Outputs) && len(got.Outputs[i].Dims) == len(want.Outputs[i].Dims) {
				got.Outputs[i].Dims = want.Outputs[i].Dims
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-loaded +declared):\n%s", file, diff)
		}
		if err := loaded.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDeclaredFaults(t *testing.T) {
	sequence := []byte{4<<3 | 2, 4, 1<<3 | 2, 2, 1<<3 | 2, 0}
	m := onnxtest.Model{Graph: onnxtest.Graph{
		Inputs: []onnxtest.Value{
			{Name: "seq", Type: sequence},
			{Name: "complex", Type: []byte{1<<3 | 2, 2, 1 << 3, 14}},
			{Name: "w", DType: runners.FP32, Dims: []runners.Dim{}},
			{Name: "maybe", Type: []byte{9<<3 | 2, 0}},
		},
		Inits:   []onnxtest.Tensor{{Name: "w", DType: runners.FP32, Raw: make([]byte, 4)}},
		Outputs: []onnxtest.Value{{Name: "sparse", Type: []byte{8<<3 | 2, 0}}, {Name: "open"}},
	}}
	s, err := onnx.Declared(m.Bytes())
	if !errors.Is(err, runners.ErrModel) || len(s.Inputs) != 3 || len(s.Outputs) != 2 {
		t.Fatalf("got %v, %v", s, err)
	}
	for _, want := range []string{
		`input "seq": sequences and maps cannot be given`, `input "complex": its elements are of the data type 14`,
		`input "maybe": it is optional`, `output "sparse": it is a sparse tensor`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if _, err := onnx.Declared([]byte("no model")); !errors.Is(err, runners.ErrModel) {
		t.Errorf("got %v", err)
	}
}

func TestWeightBytes(t *testing.T) {
	model, err := os.ReadFile("testdata/weighted.onnx")
	if err != nil {
		t.Fatal(err)
	}
	meta, err := onnx.Inspect(model, onnx.Limits{})
	if err != nil || meta.WeightBytes <= 0 || meta.WeightBytes >= meta.Bytes {
		t.Errorf("got %d bytes of weights in a file of %d, %v", meta.WeightBytes, meta.Bytes, err)
	}
}
