//go:build cgo && (linux || darwin)

package onnx_test

import (
	"context"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
)

// BenchmarkRun times one run of the tiny model through this package; its unit is a run.
func BenchmarkRun(b *testing.B) {
	m := load(b, onnxtest.AddSub(), onnx.Options{Threads: 1})
	tensor := func() runners.Tensor {
		return runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3}, Data: make([]byte, 12)}
	}
	in, bound, adopted := []runners.Tensor{tensor(), tensor()}, []runners.Tensor{tensor(), tensor()}, make([]runners.Tensor, 2)
	forever := context.WithoutCancel(b.Context())
	for _, bench := range []struct {
		name string
		ctx  context.Context
		out  []runners.Tensor
	}{{"bound", forever, bound}, {"bound, can end", b.Context(), bound}, {"adopted", forever, adopted}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Run(bench.ctx, in, bench.out); err != nil {
					b.Fatal(err)
				}
				bench.out[0].Release()
				bench.out[1].Release()
			}
		})
	}
	b.Run("bound, parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			in, out := []runners.Tensor{tensor(), tensor()}, []runners.Tensor{tensor(), tensor()}
			for pb.Next() {
				if err := m.Run(forever, in, out); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkBinding times the same through the bare binding, which pins nothing and cannot be stopped.
func BenchmarkBinding(b *testing.B) {
	open(b)
	options, err := ort.NewSessionOptions()
	if err != nil {
		b.Fatal(err)
	}
	if err := options.SetIntraOpNumThreads(1); err != nil {
		b.Fatal(err)
	}
	s, err := ort.NewDynamicAdvancedSessionWithONNXData(onnxtest.AddSub().Bytes(), []string{"a", "b"}, []string{"sum", "difference"}, options)
	if err != nil {
		b.Fatal(err)
	}
	tensor := func() ort.Value {
		t, err := ort.NewTensor(ort.NewShape(1, 3), make([]float32, 3))
		if err != nil {
			b.Fatal(err)
		}
		return t
	}
	in, out := []ort.Value{tensor(), tensor()}, []ort.Value{tensor(), tensor()}
	b.Run("tensors made before", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Run(in, out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tensors made for each", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			in, out := []ort.Value{tensor(), tensor()}, []ort.Value{tensor(), tensor()}
			if err := s.Run(in, out); err != nil {
				b.Fatal(err)
			}
			for _, v := range append(in, out...) {
				if err := v.Destroy(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkThreads times the OCR detection model with threads of its own, with none and with the process's pool, called by
// one and by two callers at once; its unit is a run.
func BenchmarkThreads(b *testing.B) {
	x := runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3, 320, 320}, Data: make([]byte, 4*3*320*320)}
	for _, options := range []struct {
		name    string
		threads int
	}{{"shared pool", 0}, {"caller only", 1}, {"two of its own", 2}} {
		m, err := open(b).LoadFile(b.Context(), ocrModels(b)[0], onnx.Options{Threads: options.threads})
		if err != nil {
			b.Fatal(err)
		}
		run := func(b *testing.B) {
			b.Helper()
			out := make([]runners.Tensor, 1)
			if err := m.Run(b.Context(), []runners.Tensor{x}, out); err != nil {
				b.Error(err)
			}
			out[0].Release()
		}
		b.Run(options.name+"/one caller", func(b *testing.B) {
			for b.Loop() {
				run(b)
			}
		})
		b.Run(options.name+"/two callers", func(b *testing.B) {
			b.SetParallelism(1)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					run(b)
				}
			})
		})
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
