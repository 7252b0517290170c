package batch_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// tokens is a model as text models are: ids and mask, [batch, seq], give the ids doubled, [batch, seq], the sum of those whose
// mask is 1, [batch], and what has no name, [batch, ?], as long as seq was in the run.
func tokens() fake.Script {
	two := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1, Name: "seq"}}
	open := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1}}
	return fake.Script{
		Signature: runners.Signature{
			Inputs: []runners.Port{{Name: "ids", DType: runners.FP32, Dims: two}, {Name: "mask", DType: runners.FP32, Dims: two}},
			Outputs: []runners.Port{
				{Name: "twice", DType: runners.FP32, Dims: two},
				{Name: "sum", DType: runners.FP32, Dims: two[:1]},
				{Name: "raw", DType: runners.FP32, Dims: open},
			},
		},
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			ids, mask := runnertest.Floats(in[0]), runnertest.Floats(in[1])
			rows, seq := int(in[0].Shape[0]), int(in[0].Shape[1])
			twice, sums := make([]float32, len(ids)), make([]float32, rows)
			for i := range ids {
				twice[i] = 2 * ids[i]
				sums[i/seq] += ids[i] * mask[i]
			}
			return []runners.Tensor{
				runnertest.FP32(slices.Clone(in[0].Shape), twice...), runnertest.FP32([]int64{int64(rows)}, sums...),
				runnertest.FP32(slices.Clone(in[0].Shape), ids...),
			}, nil
		},
	}
}

func padTokens(buckets ...int64) batch.Config {
	return batch.Config{Pad: []batch.Pad{{Input: "ids", Axis: 1, Value: 9}, {Input: "mask", Axis: 1}}, Buckets: buckets}
}

func row(value float32, n int) []runners.Tensor {
	shape := []int64{1, int64(n)}
	return []runners.Tensor{
		runnertest.FP32(shape, slices.Repeat([]float32{value}, n)...), runnertest.FP32(shape, slices.Repeat([]float32{1}, n)...),
	}
}

// Requests of several lengths share a run, padded to the size of their bucket; what comes out is as long as what went in where
// the model says that it is, and nowhere else.
func TestPaddedRequestsShareABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := fake.New(slowly(tokens()))
		b := batch.New(inner, padTokens(4, 8))
		in := [][]runners.Tensor{row(1, 4), row(2, 3), row(3, 4), row(4, 1), row(5, 7), row(6, 11)}
		out := make([][]runners.Tensor, len(in))
		for i := range out {
			out[i] = make([]runners.Tensor, 3)
		}
		for i, err := range together(t, b, in, out) {
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		var shapes [][]int64
		for _, run := range inner.Runs() {
			shapes = append(shapes, run.Shapes[0])
		}
		if diff := cmp.Diff([][]int64{{1, 4}, {3, 4}, {1, 8}, {1, 11}}, shapes); diff != "" {
			t.Errorf("the model ran on (-want +got):\n%s", diff)
		}
		for i, n := range []int64{4, 3, 4, 1, 7, 11} {
			value := float32(i + 1)
			if diff := cmp.Diff(slices.Repeat([]float32{2 * value}, int(n)), runnertest.Floats(out[i][0])); diff != "" {
				t.Errorf("request %d (-want +got):\n%s", i, diff)
			}
			if got := runnertest.Floats(out[i][1])[0]; got != value*float32(n) {
				t.Errorf("request %d: sum %v, want %v", i, got, value*float32(n))
			}
			if diff := cmp.Diff([]int64{1, n}, out[i][0].Shape); diff != "" {
				t.Errorf("request %d (-want +got):\n%s", i, diff)
			}
		}
		// Nothing says that the third output is as long as seq, so it comes as the model gave it.
		if diff := cmp.Diff([]float32{4, 9, 9, 9}, runnertest.Floats(out[3][2])); diff != "" {
			t.Errorf("the output of no name (-want +got):\n%s", diff)
		}
		closeAll(t, b, inner, out)
	})
}

func closeAll(t *testing.T, b *batch.Batcher, inner *fake.Runner, outs [][]runners.Tensor) {
	t.Helper()
	for _, out := range outs {
		for i := range out {
			out[i].Release()
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := inner.Lent(); n != 0 {
		t.Errorf("%d outputs were not released", n)
	}
}

// An answer does not depend on padding, nor on who shares the run, nor on where its memory is.
func TestPaddingChangesNoAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 12).Draw(rt, "lengths")
		bound := rapid.Bool().Draw(rt, "bound")
		answers := func(config batch.Config) (got [][]float32) {
			synctest.Test(t, func(t *testing.T) {
				inner := fake.New(slowly(tokens()))
				b := batch.New(inner, config)
				in, out := make([][]runners.Tensor, len(lengths)), make([][]runners.Tensor, len(lengths))
				for i, n := range lengths {
					in[i], out[i] = row(float32(i+1), n), make([]runners.Tensor, 3)
					if bound {
						out[i][0] = runners.Tensor{DType: runners.FP32, Shape: []int64{1, int64(n)}, Data: make([]byte, 4*n)}
					}
				}
				for i, err := range together(t, b, in, out) {
					if err != nil {
						rt.Errorf("request %d: %v", i, err)
						return
					}
					got = append(got, append(runnertest.Floats(out[i][0]), runnertest.Floats(out[i][1])...))
				}
				closeAll(t, b, inner, out)
			})
			return got
		}
		want := answers(batch.Config{MaxRows: 1})
		for _, config := range []batch.Config{padTokens(), padTokens(16), padTokens(1, 2, 3, 20)} {
			if diff := cmp.Diff(want, answers(config)); diff != "" {
				rt.Fatalf("buckets %v (-want +got):\n%s", config.Buckets, diff)
			}
		}
	})
}

func TestWhatCannotBePadded(t *testing.T) {
	t.Parallel()
	dims := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1, Name: "seq"}, {Size: 3}}
	s := runners.Signature{Inputs: []runners.Port{
		{Name: "ids", DType: runners.INT64, Dims: dims},
		{Name: "text", DType: runners.BYTES, Dims: dims[:2]},
		{Name: "half", DType: runners.FP16, Dims: []runners.Dim{{Size: -1}, {Size: -1}}},
		{Name: "flags", DType: runners.BOOL, Dims: []runners.Dim{{Size: -1}, {Size: -1}}},
	}}
	for _, test := range []struct {
		config batch.Config
		want   string
	}{
		{batch.Config{}, ""},
		{batch.Config{Pad: []batch.Pad{{Input: "flags", Axis: 1, Value: 1}}}, ""},
		{batch.Config{Pad: []batch.Pad{{Input: "ids", Axis: 1}}}, `dimension 1 of input "text" is seq too`},
		{batch.Config{Pad: []batch.Pad{{Input: "id", Axis: 1}}}, `there is no input "id" to pad`},
		{batch.Config{Pad: []batch.Pad{{Input: "ids", Axis: 0}}}, `input "ids" has no dimension 0 to pad: 1 to 2 are left of 3`},
		{batch.Config{Pad: []batch.Pad{{Input: "ids", Axis: 3}}}, `input "ids" has no dimension 3`},
		{batch.Config{Pad: []batch.Pad{{Input: "ids", Axis: 2}}}, `dimension 2 of input "ids" is always 3`},
		{batch.Config{Pad: []batch.Pad{{Input: "ids", Axis: 1, Value: 0.5}}}, `0.5 is no value of INT64`},
		{batch.Config{Pad: []batch.Pad{{Input: "text", Axis: 1}}}, `BYTES cannot be filled`},
		{batch.Config{Pad: []batch.Pad{{Input: "half", Axis: 1, Value: 1}}}, ""},
		{batch.Config{Pad: []batch.Pad{{Input: "flags", Axis: 1, Value: 2}}}, `2 is no value of BOOL`},
		{batch.Config{Pad: []batch.Pad{{Input: "flags", Axis: 1}, {Input: "flags", Axis: 1}}}, `padded twice`},
		{batch.Config{Buckets: []int64{8}}, `no dimension is padded`},
		{batch.Config{Pad: []batch.Pad{{Input: "flags", Axis: 1}}, Buckets: []int64{8, 8}}, `want them ascending`},
		{batch.Config{Pad: []batch.Pad{{Input: "flags", Axis: 1}}, Buckets: []int64{0}}, `want them ascending`},
	} {
		err := test.config.Validate(s)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.config, err, test.want)
		}
	}
}

// Each data type is filled with the value as it holds it.
func TestPadValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dtype runners.DType
		value float64
		want  []byte
	}{
		{runners.INT64, -2, []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{runners.INT32, 258, []byte{2, 1, 0, 0}},
		{runners.UINT16, 65535, []byte{0xff, 0xff}},
		{runners.INT8, -1, []byte{0xff}},
		{runners.FP32, 1, []byte{0, 0, 0x80, 0x3f}},
		{runners.FP64, 1, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
		{runners.BF16, 1, []byte{0x80, 0x3f}},
		{runners.FP16, 0, []byte{0, 0}},
		{runners.FP16, -1.5, []byte{0, 0xbe}},
		{runners.FP16, 1e9, []byte{0, 0x7c}},
	} {
		t.Run(fmt.Sprint(test.dtype), func(t *testing.T) {
			t.Parallel()
			s := fake.Echo(test.dtype)
			dims := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1, Name: "n"}}
			s.Signature.Inputs[0].Dims = dims
			var got []byte
			var mu sync.Mutex
			s.Takes = func(in []runners.Tensor) time.Duration {
				mu.Lock()
				defer mu.Unlock()
				got = slices.Clone(in[0].Data)
				return 0
			}
			b := batch.New(fake.New(s), batch.Config{Pad: []batch.Pad{{Input: "x", Axis: 1, Value: test.value}}, Buckets: []int64{2}})
			one := runners.Tensor{DType: test.dtype, Shape: []int64{1, 1}, Data: make([]byte, test.dtype.Size())}
			out := make([]runners.Tensor, 1)
			if err := b.Run(t.Context(), []runners.Tensor{one}, out); err != nil {
				t.Fatal(err)
			}
			out[0].Release()
			if diff := cmp.Diff(append(make([]byte, len(test.want)), test.want...), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
