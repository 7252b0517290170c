package madeup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/madeup"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func open(names ...string) []runners.Dim {
	dims := make([]runners.Dim, len(names))
	for i, n := range names {
		dims[i] = runners.Dim{Size: -1, Name: n}
	}
	return dims
}

// Open dimensions get the size that they look like, those of one name the same, unless it is said.
func TestShapes(t *testing.T) {
	t.Parallel()
	ports := []runners.Port{
		{Name: "ids", DType: runners.INT64, Dims: open("batch", "seq")},
		{Name: "image", DType: runners.FP32, Dims: open("", "", "height", "width")},
		{Name: "cache", DType: runners.FP32, Dims: open("batch", "past_length", "")},
		{Name: "fixed", DType: runners.BOOL, Dims: []runners.Dim{{Size: 7}}},
		{Name: "any", DType: runners.BYTES},
		{Name: "scalar", DType: runners.INT32, Dims: []runners.Dim{}},
	}
	for _, c := range []struct {
		config     madeup.Config
		rows, size int64
		want       string
	}{
		{madeup.Config{}, 3, 0, "[3 16] [3 64 64 64] [3 0 16] [7] [3] []"},
		{madeup.Config{}, 1, 8, "[1 8] [1 8 8 8] [1 8 8] [7] [1] []"},
		{madeup.Config{Sizes: map[string]int64{"seq": 5, "image.1": 3, "batch": 2}}, 1, 0, "[2 5] [1 3 64 64] [2 0 16] [7] [1] []"},
	} {
		in, err := c.config.Inputs(ports, c.rows, c.size)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range in {
			got = append(got, fmt.Sprint(x.Shape))
			if err := x.Check(); err != nil {
				t.Error(err)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("got %s, want %s", s, c.want)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	one := []runners.Dim{{Size: 1}}
	ports := []runners.Port{
		{Name: "x", DType: runners.FP32, Dims: one}, {Name: "attention_mask", DType: runners.FP32, Dims: one}, {Name: "y", DType: runners.FP32, Dims: one},
	}
	in, err := madeup.Config{Values: map[string]string{"y": "-3"}}.Inputs(ports, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{.5, 1, -3} {
		if got := runnertest.Floats(in[i]); len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %v, want %v", ports[i].Name, got, want)
		}
	}
	if _, err := (madeup.Config{Values: map[string]string{"x": "much"}}).Inputs(ports, 1, 0); err == nil || !strings.Contains(err.Error(), `"much" is no number`) {
		t.Errorf("got %v", err)
	}
	if _, err := (madeup.Config{MaxBytes: 100}).Filled(runners.FP32, []int64{26}, "1"); !errors.Is(err, runners.ErrShape) {
		t.Errorf("26 numbers in 100 bytes: got %v", err)
	}
	if _, err := (madeup.Config{MaxBytes: 100}).Filled(runners.FP32, []int64{25}, "1"); err != nil {
		t.Errorf("25 numbers in 100 bytes: %v", err)
	}
}

// Sizes are tried until one works; when none does the first reason is told, and models without open dimensions are tried once.
func TestFind(t *testing.T) {
	t.Parallel()
	errSize := errors.New("odd size")
	ports := []runners.Port{{Name: "x", DType: runners.FP32, Dims: open("n", "m")}}
	wants := func(n int64) func([]runners.Tensor) error {
		return func(in []runners.Tensor) error {
			if in[0].Shape[1] != n {
				return fmt.Errorf("%w %d", errSize, in[0].Shape[1])
			}
			return nil
		}
	}
	if size, err := (madeup.Config{}).Find(t.Context(), ports, wants(224)); err != nil || size != 224 {
		t.Errorf("got %d, %v, want 224", size, err)
	}
	if _, err := (madeup.Config{}).Find(t.Context(), ports, wants(77)); !errors.Is(err, errSize) || err.Error() != "odd size 16" {
		t.Errorf("got %v, want the first reason", err)
	}
	tries := 0
	fixed := []runners.Port{{Name: "x", DType: runners.FP32, Dims: append(open("n"), runners.Dim{Size: 3})}}
	if _, err := (madeup.Config{}).Find(t.Context(), fixed, func([]runners.Tensor) error { tries++; return errSize }); !errors.Is(err, errSize) || tries != 1 {
		t.Errorf("got %v after %d tries", err, tries)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := (madeup.Config{}).Find(ctx, ports, func([]runners.Tensor) error { cancel(); return errSize }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
