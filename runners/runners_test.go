package runners_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners"
)

func TestElements(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		shape []int64
		want  int64
		ok    bool
	}{
		{nil, 1, true},
		{[]int64{}, 1, true},
		{[]int64{0}, 0, true},
		{[]int64{2, 3, 4}, 24, true},
		{[]int64{math.MaxInt64}, math.MaxInt64, true},
		{[]int64{math.MaxInt64, 1}, math.MaxInt64, true},
		{[]int64{math.MaxInt64, 2}, 0, false},
		{[]int64{3, 6148914691236517207}, 0, false},
		{[]int64{0, math.MaxInt64, math.MaxInt64}, 0, true},
		{[]int64{-1}, 0, false},
		{[]int64{0, -1}, 0, false},
	} {
		if got, ok := runners.Elements(test.shape); got != test.want || ok != test.ok {
			t.Errorf("%v: got %d, %v, want %d, %v", test.shape, got, ok, test.want, test.ok)
		}
	}
}

func TestDType(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{
		"FP32": 4, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "INT32": 4, "INT64": 8, "BYTES": 0, "BOOL": 1, "FP16": 2,
		"FP64": 8, "UINT32": 4, "UINT64": 8, "BF16": 2,
	}
	for d := range 256 {
		dtype := runners.DType(d)
		size, known := sizes[dtype.String()]
		if dtype.Valid() != known || dtype.Size() != size {
			t.Errorf("%s: valid %v with %d bytes, want %v with %d", dtype, dtype.Valid(), dtype.Size(), known, size)
		}
		delete(sizes, dtype.String())
	}
	if len(sizes) != 0 {
		t.Errorf("no dtype is called %v", sizes)
	}
}

func TestPackBytesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 20)).Draw(t, "elements")
		data, err := runners.PackBytes(want)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(len(want))
		x := runners.Tensor{DType: runners.BYTES, Shape: []int64{n}, Data: data}
		if err := x.Check(); err != nil {
			t.Fatal(err)
		}
		got, err := runners.UnpackBytes(data, n)
		if err != nil || !slicesEqual(want, got) {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		if _, err := runners.UnpackBytes(data, n+1); !errors.Is(err, runners.ErrShape) {
			t.Fatalf("one more element: got %v, want ErrShape", err)
		}
	})
}

func slicesEqual(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func FuzzUnpackBytes(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0, 'x'}, int64(1))
	f.Add([]byte{0, 0, 0, 0}, int64(0))
	f.Add([]byte{}, int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, data []byte, n int64) {
		elems, err := runners.UnpackBytes(data, n)
		if err != nil {
			if !errors.Is(err, runners.ErrShape) {
				t.Fatalf("got %v, want ErrShape", err)
			}
			return
		}
		again, err := runners.PackBytes(elems)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("packed again: got %x, %v, want %x", again, err, data)
		}
	})
}

func TestCheckInputsNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := runners.Signature{Inputs: []runners.Port{
		{Name: "image", DType: runners.FP32, Dims: []runners.Dim{{Size: -1, Name: "batch"}, {Size: 3}, {Size: -1}}},
		{Name: "any", DType: runners.UINT8},
	}}
	image := runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3, 2}, Data: make([]byte, 24)}
	bytes8 := runners.Tensor{DType: runners.UINT8, Shape: []int64{2, 2}, Data: make([]byte, 4)}
	if err := s.CheckInputs([]runners.Tensor{image, bytes8}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		in   []runners.Tensor
		want string
	}{
		{"count", []runners.Tensor{image}, "the model takes 2 inputs, got 1"},
		{"dtype", []runners.Tensor{bytes8, bytes8}, `input "image": tensor does not fit: want FP32, got UINT8`},
		{"rank", []runners.Tensor{{DType: runners.FP32, Shape: []int64{3}}, bytes8}, `input "image": tensor does not fit: want shape [batch 3 ?], got [3]: 3 dimensions, not 1`},
		{"dimension", []runners.Tensor{{DType: runners.FP32, Shape: []int64{1, 4, 2}}, bytes8}, `want shape [batch 3 ?], got [1 4 2]: dimension 1 is not 3`},
		{"length", []runners.Tensor{image, {DType: runners.UINT8, Shape: []int64{5}, Data: make([]byte, 4)}}, `input "any": tensor does not fit: UINT8 [5] needs 5 elements of 1 bytes, got 4 bytes`},
	} {
		err := s.CheckInputs(test.in)
		if !errors.Is(err, runners.ErrShape) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	freed := 0
	got := func() runners.Tensor {
		return runners.Adopted(runners.UINT8, []int64{2}, []byte{1, 2}, func() { freed++ })
	}
	var out runners.Tensor
	if err := out.Deliver(got()); err != nil || freed != 0 {
		t.Fatalf("into nothing: %v, freed %d times", err, freed)
	}
	out.Release()
	out.Release()
	if freed != 1 || out.Data != nil {
		t.Fatalf("freed %d times, want once", freed)
	}
	room := runners.Tensor{DType: runners.UINT8, Shape: []int64{2}, Data: make([]byte, 2)}
	if err := room.Deliver(got()); err != nil || freed != 2 {
		t.Fatalf("into room: %v, freed %d times, want twice", err, freed)
	}
	if diff := cmp.Diff([]byte{1, 2}, room.Data); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	room.Release()
	for _, misfit := range []runners.Tensor{
		{DType: runners.INT8, Shape: []int64{2}, Data: make([]byte, 2)},
		{DType: runners.UINT8, Shape: []int64{1, 2}, Data: make([]byte, 2)},
		{DType: runners.UINT8, Shape: []int64{2}, Data: make([]byte, 3)},
	} {
		before := freed
		if err := misfit.Deliver(got()); !errors.Is(err, runners.ErrShape) || freed != before+1 {
			t.Fatalf("into %s %v: got %v, freed %d times", misfit.DType, misfit.Shape, err, freed-before)
		}
	}
}
