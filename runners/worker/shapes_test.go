//go:build cgo && (linux || darwin)

package worker_test

import (
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
)

// Outputs whose shape depends on what the inputs hold come as they are, although the last run on inputs of the same shape gave
// others.
func TestUnsteadyShapes(t *testing.T) {
	p := newPool(t)
	m := load(t, p, onnxtest.NonZero())
	for _, values := range [][]byte{{1, 0, 0, 0}, {1, 1, 0, 0}, {1, 1, 1, 1}, {0, 0, 0, 0}, {0, 0, 1, 0}, {1, 1, 1, 0}} {
		want := int64(0)
		for _, v := range values {
			want += int64(v)
		}
		out := make([]runners.Tensor, 1)
		if err := m.Run(t.Context(), []runners.Tensor{{DType: runners.BOOL, Shape: []int64{4}, Data: values}}, out); err != nil {
			t.Fatal(err)
		}
		if shape := out[0].Shape; shape[len(shape)-1] != want {
			t.Errorf("%v: got the shape %v, want %d in the last dimension", values, shape, want)
		}
		if err := out[0].Check(); err != nil {
			t.Error(err)
		}
		out[0].Release()
	}
}
