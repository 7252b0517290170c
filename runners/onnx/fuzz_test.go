//go:build cgo && (linux || darwin)

package onnx_test

import (
	"testing"

	"github.com/tandem-serve/tandem/runners/onnx"
)

// FuzzLoad loads whatever passes the check: nothing that passes may bring the process down, or load and have a signature
// that is not one.
func FuzzLoad(f *testing.F) {
	for _, m := range good() {
		f.Add(m.Bytes())
	}
	r := open(f)
	f.Fuzz(func(t *testing.T, model []byte) {
		m, err := r.Load(t.Context(), model, onnx.Options{Limits: onnx.Limits{MaxBytes: 1 << 16, MaxNodes: 64}})
		if err != nil {
			return
		}
		s := m.Signature()
		for _, p := range append(s.Inputs, s.Outputs...) {
			if !p.DType.Valid() || p.Name == "" {
				t.Errorf("got the port %+v", p)
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}
