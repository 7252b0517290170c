//go:build cgo && (linux || darwin)

package onnx_test

import (
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func open(tb testing.TB) *onnx.Runtime {
	tb.Helper()
	r, err := onnx.Open(tb.Context(), onnx.Config{Library: library(tb), Threads: 2})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// load loads a model and closes it when the test ends.
func load(tb testing.TB, m onnxtest.Model, options onnx.Options) *onnx.Model {
	tb.Helper()
	model, err := open(tb).Load(tb.Context(), m.Bytes(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := model.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return model
}

func TestConformance(t *testing.T) {
	for name, options := range map[string]onnx.Options{"shared threads": {}, "own thread": {Threads: 1}} {
		t.Run(name, func(t *testing.T) {
			runnertest.Test(t, makers(options))
		})
	}
}

func makers(options onnx.Options) runnertest.Makers {
	maker := func(m onnxtest.Model) func(*testing.T) runners.Runner {
		return func(t *testing.T) runners.Runner {
			t.Helper()
			return load(t, m, options)
		}
	}
	return runnertest.Makers{
		AddSub: maker(onnxtest.AddSub()),
		Echo: func(t *testing.T, d runners.DType) runners.Runner {
			t.Helper()
			return load(t, onnxtest.Identity(d, nil), options)
		},
		Slow:     maker(onnxtest.Slow()),
		Document: maker(onnxtest.ZipMap([]int64{0, 1})),
		Broken:   maker(onnxtest.Broken()),
	}
}
