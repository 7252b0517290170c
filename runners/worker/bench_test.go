//go:build cgo && (linux || darwin)

package worker_test

import (
	"os"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// inProcess loads the model into this process, to compare with.
func inProcess(tb testing.TB, m onnxtest.Model) runners.Runner {
	tb.Helper()
	library, err := ortlib.Find(os.Getenv, ".")
	if err != nil {
		tb.Fatal(err)
	}
	r, err := onnx.Open(tb.Context(), onnx.Config{Library: library, Threads: 2})
	if err != nil {
		tb.Fatal(err)
	}
	model, err := r.Load(tb.Context(), m.Bytes(), onnx.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = model.Close() })
	return model
}

// BenchmarkRun compares a run in a worker with the same run in this process.
func BenchmarkRun(b *testing.B) {
	models := map[string]onnxtest.Model{"add_sub": onnxtest.AddSub(), "slow": onnxtest.Slow()}
	a := runnertest.FP32([]int64{1, 3}, 1, 2, 3)
	identity := make([]float32, 64*64)
	for i := range 64 {
		identity[i*64+i] = 1
	}
	inputs := map[string][]runners.Tensor{
		"add_sub": {a, a},
		"slow":    {runnertest.INT64([]int64{}, 50), runnertest.FP32([]int64{64, 64}, identity...)},
	}
	for name, m := range models {
		p := newPool(b)
		for where, r := range map[string]runners.Runner{"in process": inProcess(b, m), "in a worker": load(b, p, m)} {
			in, out := inputs[name], make([]runners.Tensor, len(m.Graph.Outputs))
			one := func() {
				if err := r.Run(b.Context(), in, out); err != nil {
					b.Fatal(err)
				}
				for i := range out {
					out[i].Release()
				}
			}
			b.Run(name+"/"+where, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					one()
				}
			})
		}
	}
}
