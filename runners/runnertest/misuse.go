package runnertest

import (
	"errors"
	"math"
	"strings"

	"github.com/tandem-serve/tandem/runners"
)

func (t suite) testBadInputs() {
	r := t.newAddSub()
	good := func() runners.Tensor { return FP32([]int64{2, 3}, 1, 2, 3, 4, 5, 6) }
	for _, test := range []struct {
		name string
		in   []runners.Tensor
		want string
	}{
		{"none", nil, "takes 2 inputs, got 0"},
		{"too few", []runners.Tensor{good()}, "takes 2 inputs, got 1"},
		{"too many", []runners.Tensor{good(), good(), good()}, "takes 2 inputs, got 3"},
		{"dtype", []runners.Tensor{good(), {DType: runners.INT32, Shape: []int64{2, 3}, Data: make([]byte, 24)}}, `"b": `},
		{"no dtype", []runners.Tensor{{}, good()}, `"a": `},
		{"unknown dtype", []runners.Tensor{{DType: 200, Shape: []int64{2, 3}, Data: make([]byte, 24)}, good()}, `"a": `},
		{"rank", []runners.Tensor{FP32([]int64{6}, 1, 2, 3, 4, 5, 6), good()}, `"a": `},
		{"rank 0", []runners.Tensor{good(), FP32([]int64{}, 1)}, `"b": `},
		{"no shape", []runners.Tensor{FP32(nil, 1), good()}, `"a": `},
		{"dimension", []runners.Tensor{good(), FP32([]int64{3, 2}, 1, 2, 3, 4, 5, 6)}, `"b": `},
		{"too short", []runners.Tensor{FP32([]int64{2, 3}, 1, 2, 3, 4, 5), good()}, `"a": `},
		{"too long", []runners.Tensor{good(), FP32([]int64{2, 3}, 1, 2, 3, 4, 5, 6, 7)}, `"b": `},
		{"no data", []runners.Tensor{{DType: runners.FP32, Shape: []int64{2, 3}}, good()}, `"a": `},
		{"negative", []runners.Tensor{{DType: runners.FP32, Shape: []int64{-1, 3}, Data: make([]byte, 24)}, good()}, `"a": `},
		{"overflow", []runners.Tensor{{DType: runners.FP32, Shape: []int64{math.MaxInt64 / 2, 3}, Data: make([]byte, 24)}, good()}, `"a": `},
		{"wraps to fit", []runners.Tensor{{DType: runners.FP32, Shape: []int64{6148914691236517207, 3}, Data: make([]byte, 20)}, good()}, `"a": `},
	} {
		err := r.Run(t.Context(), test.in, make([]runners.Tensor, 2))
		if !errors.Is(err, runners.ErrShape) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want ErrShape with %q", test.name, err, test.want)
		}
	}
	if err := addSub(t.T, r, 2, 1); err != nil {
		t.Fatalf("a good run after bad ones: %v", err)
	}
}

func (t suite) testBadOutputs() {
	r := t.newAddSub()
	in, _ := addSubCase(2, 1)
	room := func(d runners.DType, size int, shape ...int64) runners.Tensor {
		return runners.Tensor{DType: d, Shape: shape, Data: make([]byte, size)}
	}
	for _, test := range []struct {
		name string
		out  []runners.Tensor
	}{
		{"none", nil},
		{"too few", make([]runners.Tensor, 1)},
		{"too many", make([]runners.Tensor, 3)},
		{"dtype", []runners.Tensor{room(runners.INT32, 24, 2, 3), {}}},
		{"rank", []runners.Tensor{{}, room(runners.FP32, 24, 6)}},
		{"dimension", []runners.Tensor{room(runners.FP32, 24, 3, 2), {}}},
		{"too short", []runners.Tensor{room(runners.FP32, 20, 2, 3), {}}},
		{"too long", []runners.Tensor{{}, room(runners.FP32, 28, 2, 3)}},
		{"fewer rows than come", []runners.Tensor{room(runners.FP32, 12, 1, 3), {}}},
		{"more rows than come", []runners.Tensor{{}, room(runners.FP32, 36, 3, 3)}},
		{"overflow", []runners.Tensor{{DType: runners.FP32, Shape: []int64{math.MaxInt64, 3}, Data: make([]byte, 24)}, {}}},
	} {
		if err := r.Run(t.Context(), in, test.out); !errors.Is(err, runners.ErrShape) {
			t.Errorf("%s: got %v, want ErrShape", test.name, err)
		}
	}
	if err := addSub(t.T, r, 2, 1); err != nil {
		t.Fatalf("a good run after bad ones: %v", err)
	}
}
