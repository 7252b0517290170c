//go:build cgo && (linux || darwin)

package batch_test

import (
	"bytes"
	"os"
	"sync"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func load(tb testing.TB, m onnxtest.Model, config batch.Config) *batch.Batcher {
	tb.Helper()
	library, err := ortlib.Find(os.Getenv, ".")
	if err != nil {
		tb.Fatal(err)
	}
	runtime, err := onnx.Open(tb.Context(), onnx.Config{Library: library})
	if err != nil {
		tb.Fatal(err)
	}
	inner, err := runtime.Load(tb.Context(), m.Bytes(), onnx.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return batch.New(inner, config)
}

func TestConformanceOverONNX(t *testing.T) {
	t.Parallel()
	maker := func(m onnxtest.Model) func(*testing.T) runners.Runner {
		return func(t *testing.T) runners.Runner {
			t.Helper()
			return load(t, m, batch.Config{MaxRows: 3})
		}
	}
	runnertest.Test(t, runnertest.Makers{
		AddSub: maker(onnxtest.AddSub()),
		Echo: func(t *testing.T, d runners.DType) runners.Runner {
			t.Helper()
			return maker(onnxtest.Identity(d, nil))(t)
		},
		Slow:     maker(onnxtest.Slow()),
		Document: maker(onnxtest.ZipMap([]int64{0, 1})),
		Broken:   maker(onnxtest.Broken()),
	})
}

// Every dtype goes through batches of many callers' rows as it goes alone.
func TestDTypesOverONNX(t *testing.T) {
	t.Parallel()
	for _, d := range []runners.DType{runners.FP16, runners.BOOL, runners.INT64, runners.BYTES} {
		b := load(t, onnxtest.Identity(d, []runners.Dim{onnxtest.Batch(), {Size: 2}}), batch.Config{MaxRows: 5})
		if why := b.Apart(); why != "" {
			t.Fatalf("%s: not batched: %s", d, why)
		}
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 40 {
					x := echoed(d, 1+(g+i)%3, byte(g), byte(i))
					out := make([]runners.Tensor, 1)
					if err := b.Run(t.Context(), []runners.Tensor{x}, out); err != nil {
						t.Errorf("%s: %v", d, err)
						return
					}
					if !bytes.Equal(x.Data, out[0].Data) {
						t.Errorf("%s: caller %d got %v, want %v", d, g, out[0].Data, x.Data)
					}
					out[0].Release()
				}
			})
		}
		wg.Wait()
		if s := b.Stats(); s.Runs == s.Requests {
			t.Logf("%s: no batch was formed of %d requests", d, s.Requests)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// echoed returns a tensor of rows rows of two elements that is like no other caller's.
func echoed(d runners.DType, rows int, g, i byte) runners.Tensor {
	shape := []int64{int64(rows), 2}
	if d == runners.BYTES {
		elems := make([]string, 2*rows)
		for e := range elems {
			elems[e] = string(bytes.Repeat([]byte{g, i}, e))
		}
		return runnertest.Strings(shape, elems...)
	}
	data := make([]byte, 2*rows*d.Size())
	for e := range data {
		data[e] = g ^ i ^ byte(e)
		if d == runners.BOOL {
			data[e] &= 1
		}
	}
	return runners.Tensor{DType: d, Shape: shape, Data: data}
}
