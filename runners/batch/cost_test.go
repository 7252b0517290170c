package batch_test

import (
	"encoding/json"
	"fmt"
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

// The line is found on rows, not on requests, whatever their number.
// Trap 3: running times are learned by rows, not by requests.
func TestFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.IntRange(0, 50).Draw(t, "base")) * time.Millisecond
		row := time.Duration(rapid.IntRange(0, 50).Draw(t, "row")) * time.Millisecond
		rows := append(rapid.SliceOfN(rapid.IntRange(1, 64), 3, 60).Draw(t, "rows"), 1, 64)
		var took []time.Duration
		for _, n := range rows {
			took = append(took, base+time.Duration(n)*row)
		}
		gotBase, gotRow, ok := batch.Fit(rows, took)
		if !ok || (gotBase-base).Abs() > time.Millisecond/10 || (gotRow-row).Abs() > time.Millisecond/100 {
			t.Fatalf("got %v + %v a row, %v, want %v + %v", gotBase, gotRow, ok, base, row)
		}
	})
	if _, _, ok := batch.Fit([]int{4, 4, 4}, []time.Duration{1, 2, 3}); ok {
		t.Error("runs of equal rows say something of the slope")
	}
	// Never below zero, whatever was measured.
	if base, row, ok := batch.Fit([]int{1, 2, 3}, []time.Duration{3e9, 2e9, 1e9}); !ok || row != 0 || base <= 0 {
		t.Errorf("falling: got %v + %v a row, %v", base, row, ok)
	}
	if base, row, ok := batch.Fit([]int{1, 2, 3}, []time.Duration{1e9, 4e9, 9e9}); !ok || base != 0 || row <= 0 {
		t.Errorf("from below zero: got %v + %v a row, %v", base, row, ok)
	}
}

// What was learned outlives the Batcher, as JSON.
func TestCostIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fake.AddSub()
		s.Takes = func(in []runners.Tensor) time.Duration { return time.Duration(10+in[0].Shape[0]) * time.Millisecond }
		first := batch.New(fake.New(s), batch.Config{})
		for rows := range int64(10) {
			x := runnertest.FP32([]int64{rows, 3}, make([]float32, 3*rows)...)
			if err := first.Run(t.Context(), []runners.Tensor{x, x}, make([]runners.Tensor, 2)); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := json.Marshal(first.Cost())
		if err != nil {
			t.Fatal(err)
		}
		var cost batch.Cost
		if err := json.Unmarshal(kept, &cost); err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		second := batch.New(fake.New(s), batch.Config{Cost: cost})
		if diff := cmp.Diff(cost, second.Cost()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if len(cost.Shapes) != 1 || cost.Shapes["3 3"].N < 9 {
			t.Errorf("got %+v", cost)
		}
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A model of any number of shapes is remembered in bounded memory, the latest best.
func TestCostIsBounded(t *testing.T) {
	t.Parallel()
	b := batch.New(fake.New(wide()), batch.Config{})
	for width := range int64(1000) {
		x := runnertest.FP32([]int64{1, width}, make([]float32, width)...)
		if err := b.Run(t.Context(), []runners.Tensor{x}, make([]runners.Tensor, 1)); err != nil {
			t.Fatal(err)
		}
	}
	shapes := b.Cost().Shapes
	if len(shapes) != 128 {
		t.Errorf("remembers %d shapes, want 128", len(shapes))
	}
	for width := 1000 - 128; width < 1000; width++ {
		if _, ok := shapes[fmt.Sprint(width)]; !ok {
			t.Errorf("forgot the shape %d", width)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// wide gives back x, FP32 [batch, any].
func wide() fake.Script {
	s := fake.Echo(runners.FP32)
	dims := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1}}
	s.Signature.Inputs = []runners.Port{{Name: "x", DType: runners.FP32, Dims: dims}}
	s.Signature.Outputs = []runners.Port{{Name: "y", DType: runners.FP32, Dims: dims}}
	return s
}
