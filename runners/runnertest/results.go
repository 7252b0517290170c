package runnertest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/runners"
)

func (t suite) testSignature() {
	r := t.newAddSub()
	want := addSubSignature()
	for range 2 {
		got := r.Signature()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(runners.Dim{}, "Name")); diff != "" {
			t.Fatalf("signature (-want +got):\n%s", diff)
		}
		if err := addSub(t.T, r, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func addSubSignature() runners.Signature {
	dims := []runners.Dim{{Size: -1}, {Size: 3}}
	return runners.Signature{
		Inputs:  []runners.Port{{Name: "a", DType: runners.FP32, Dims: dims}, {Name: "b", DType: runners.FP32, Dims: dims}},
		Outputs: []runners.Port{{Name: "sum", DType: runners.FP32, Dims: dims}, {Name: "difference", DType: runners.FP32, Dims: dims}},
	}
}

// addSub runs the model on rows rows that depend on seed and checks the answer.
func addSub(t *testing.T, r runners.Runner, rows int, seed float32) error {
	t.Helper()
	in, want := addSubCase(rows, seed)
	out := make([]runners.Tensor, 2)
	if err := r.Run(t.Context(), in, out); err != nil {
		return err
	}
	defer out[0].Release()
	defer out[1].Release()
	for i := range out {
		if diff := cmp.Diff(want[i], plain(out[i]), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(runners.Tensor{})); diff != "" {
			return fmt.Errorf("output %d (-want +got):\n%s", i, diff)
		}
	}
	return nil
}

func addSubCase(rows int, seed float32) (in, out []runners.Tensor) {
	shape := []int64{int64(rows), 3}
	var a, b, sum, difference []float32
	for i := range 3 * rows {
		x, y := seed+float32(i), 2*seed
		a, b, sum, difference = append(a, x), append(b, y), append(sum, x+y), append(difference, x-y)
	}
	return []runners.Tensor{FP32(shape, a...), FP32(shape, b...)}, []runners.Tensor{FP32(shape, sum...), FP32(shape, difference...)}
}

func (t suite) testResults() {
	r := t.newAddSub()
	for rows := 1; rows <= 5; rows++ {
		if err := addSub(t.T, r, rows, float32(rows)); err != nil {
			t.Fatalf("adopted, %d rows: %v", rows, err)
		}
		in, want := addSubCase(rows, 3)
		first, second := make([]byte, 12*rows), make([]byte, 12*rows)
		out := []runners.Tensor{
			{DType: runners.FP32, Shape: []int64{int64(rows), 3}, Data: first},
			{DType: runners.FP32, Shape: []int64{int64(rows), 3}, Data: second},
		}
		if err := r.Run(t.Context(), in, out); err != nil {
			t.Fatalf("bound, %d rows: %v", rows, err)
		}
		if diff := cmp.Diff([][]byte{want[0].Data, want[1].Data}, [][]byte{first, second}); diff != "" {
			t.Fatalf("bound, %d rows (-want +got):\n%s", rows, diff)
		}
		// One of each.
		clear(second)
		out = []runners.Tensor{{}, {DType: runners.FP32, Shape: []int64{int64(rows), 3}, Data: second}}
		if err := r.Run(t.Context(), in, out); err != nil {
			t.Fatalf("mixed, %d rows: %v", rows, err)
		}
		if diff := cmp.Diff([][]byte{want[0].Data, want[1].Data}, [][]byte{out[0].Data, second}); diff != "" {
			t.Fatalf("mixed, %d rows (-want +got):\n%s", rows, diff)
		}
		out[0].Release()
		out[0].Release()
		out[1].Release()
		if diff := cmp.Diff(want[1].Data, out[1].Data); diff != "" {
			t.Fatalf("the caller's memory after Release (-want +got):\n%s", diff)
		}
	}
}

func (t suite) testEmptyBatch() {
	r := t.newAddSub()
	if err := addSub(t.T, r, 0, 1); err != nil {
		t.Fatal(err)
	}
	in, _ := addSubCase(0, 1)
	out := []runners.Tensor{
		{DType: runners.FP32, Shape: []int64{0, 3}, Data: []byte{}},
		{DType: runners.FP32, Shape: []int64{0, 3}, Data: []byte{}},
	}
	if err := r.Run(t.Context(), in, out); err != nil {
		t.Fatalf("bound: %v", err)
	}
}

func (t suite) testConcurrent() {
	r := t.newAddSub()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := addSub(t.T, r, 1+(g+i)%4, float32(100*g+i)); err != nil {
					t.Errorf("caller %d, run %d: %v", g, i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func (t suite) testDTypes() {
	for _, d := range []runners.DType{
		runners.FP32, runners.UINT8, runners.INT8, runners.UINT16, runners.INT16, runners.INT32, runners.INT64, runners.BYTES,
		runners.BOOL, runners.FP16, runners.FP64, runners.UINT32, runners.UINT64, runners.BF16,
	} {
		r := closing(t.T, t.Echo(t.T, d))
		for _, shape := range [][]int64{{}, {0}, {1}, {7}, {2, 3}, {2, 0, 3}, {2, 1, 3, 2}} {
			in := filled(d, shape)
			adopted := make([]runners.Tensor, 1)
			if err := r.Run(t.Context(), []runners.Tensor{in}, adopted); err != nil {
				t.Errorf("%s %v: %v", d, shape, err)
				continue
			}
			if diff := diffTensors(in, adopted[0]); diff != "" {
				t.Errorf("%s %v, adopted (-want +got):\n%s", d, shape, diff)
			}
			adopted[0].Release()
			bound := clone(in)
			if d != runners.BYTES {
				clear(bound.Data)
			}
			if err := r.Run(t.Context(), []runners.Tensor{in}, []runners.Tensor{bound}); err != nil {
				t.Errorf("%s %v, bound: %v", d, shape, err)
				continue
			}
			if diff := diffTensors(in, bound); diff != "" {
				t.Errorf("%s %v, bound (-want +got):\n%s", d, shape, diff)
			}
		}
	}
}

func diffTensors(want, got runners.Tensor) string {
	if got.Data == nil || got.Shape == nil {
		return fmt.Sprintf("data is nil: %v, shape is nil: %v", got.Data == nil, got.Shape == nil)
	}
	return cmp.Diff(plain(want), plain(got), cmpopts.IgnoreUnexported(runners.Tensor{}))
}

// An output may not lie in an input's memory, even when the model changes nothing.
func (t suite) testOwnOutputs() {
	r := closing(t.T, t.Echo(t.T, runners.FP32))
	in := FP32([]int64{4}, 1, 2, 3, 4)
	out := make([]runners.Tensor, 1)
	if err := r.Run(t.Context(), []runners.Tensor{in}, out); err != nil {
		t.Fatal(err)
	}
	defer out[0].Release()
	clear(in.Data)
	if diff := cmp.Diff([]float32{1, 2, 3, 4}, Floats(out[0])); diff != "" {
		t.Fatalf("the output changed with the input (-want +got):\n%s", diff)
	}
}

func (t suite) testStringsMisfit() {
	r := closing(t.T, t.Echo(t.T, runners.BYTES))
	in := []runners.Tensor{Strings([]int64{2}, "one", "two")}
	for name, out := range map[string]runners.Tensor{
		"shorter": Strings([]int64{2}, "one", "tw"),
		"longer":  Strings([]int64{2}, "one", "twoo"),
		"shape":   {DType: runners.BYTES, Shape: []int64{1, 2}, Data: make([]byte, len(in[0].Data))},
	} {
		if err := r.Run(t.Context(), in, []runners.Tensor{out}); !errors.Is(err, runners.ErrShape) {
			t.Errorf("%s: got %v, want ErrShape", name, err)
		}
	}
	for name, data := range map[string][]byte{
		"no offsets": {}, "cut off": in[0].Data[:len(in[0].Data)-1], "descending": {0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 'x', 'y'},
		"beyond": {0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 'x', 'y'}, "not from 0": {1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 'x', 'y'},
	} {
		bad := []runners.Tensor{{DType: runners.BYTES, Shape: []int64{2}, Data: data}}
		if err := r.Run(t.Context(), bad, make([]runners.Tensor, 1)); !errors.Is(err, runners.ErrShape) {
			t.Errorf("%s: got %v, want ErrShape", name, err)
		}
	}
}

func (t suite) testDocument() {
	r := closing(t.T, t.Document(t.T))
	port := r.Signature().Outputs[0]
	if !port.JSON || port.DType != runners.BYTES || port.Dims == nil || len(port.Dims) != 0 {
		t.Fatalf("got the output %+v, want a JSON port of BYTES and rank 0", port)
	}
	for _, test := range []struct {
		rows [][2]float32
		want string
	}{
		{nil, `[]`},
		{[][2]float32{{0.5, 1}}, `[{"0":0.5,"1":1}]`},
		{[][2]float32{{0.1, 0.9}, {-2, 1e10}}, `[{"0":0.1,"1":0.9},{"0":-2,"1":1e+10}]`},
	} {
		var values []float32
		for _, row := range test.rows {
			values = append(values, row[0], row[1])
		}
		in := []runners.Tensor{FP32([]int64{int64(len(test.rows)), 2}, values...)}
		out := make([]runners.Tensor, 1)
		if err := r.Run(t.Context(), in, out); err != nil {
			t.Errorf("%s: %v", test.want, err)
			continue
		}
		if diff := diffTensors(Strings([]int64{}, test.want), out[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.want, diff)
		}
		out[0].Release()
	}
}

func (t suite) testFailure() {
	r := closing(t.T, t.Broken(t.T))
	seven := []runners.Tensor{FP32([]int64{7}, 1, 2, 3, 4, 5, 6, 7)}
	out := make([]runners.Tensor, 1)
	for range 3 {
		err := r.Run(t.Context(), seven, out)
		if !errors.Is(err, runners.ErrRun) || errors.Is(err, runners.ErrShape) {
			t.Fatalf("got %v, want ErrRun", err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Fatalf("the error is more than one line: %q", err)
		}
		if err := r.Run(t.Context(), []runners.Tensor{FP32([]int64{2}, 1, 2)}, out); err != nil {
			t.Fatalf("a good run after a failed one: %v", err)
		}
		out[0].Release()
		out[0] = runners.Tensor{}
	}
}
