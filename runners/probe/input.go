package probe

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
)

// Sample says what to run a model on. Where it says nothing, sizes and values are tried.
type Sample struct {
	// Sizes are the sizes of open dimensions, by the dimension's name, or as "input.index".
	Sizes map[string]int64
	// Values are what all elements of an input are, by the input's name: a number, or any text for an input of strings.
	// Default: 0.5 for floats, 1 for all others.
	Values map[string]string
}

// maxSample bounds the elements of an input that is made up.
const maxSample = 1 << 26

// openSizes are the sizes tried for open dimensions other than the rows, the likely ones first: sequences, then the sides of
// pictures, then what models with odd demands take.
func openSizes() []int64 { return []int64{16, 64, 224, 128, 32, 48, 320, 512, 640, 8, 1} }

// inputs makes the inputs of one run: rows is the size of open first dimensions, size that of the other open ones.
func (s Sample) inputs(ports []runners.Port, rows, size int64) ([]runners.Tensor, error) {
	out := make([]runners.Tensor, len(ports))
	for i, p := range ports {
		shape := make([]int64, len(p.Dims))
		for d, dim := range p.Dims {
			shape[d] = dim.Size
			if dim.Size < 0 {
				shape[d] = s.size(p, d, rows, size)
			}
		}
		var err error
		if out[i], err = filled(p.DType, shape, s.value(p)); err != nil {
			return nil, fmt.Errorf("input %q: %w", p.Name, err)
		}
	}
	return out, nil
}

// value returns what the elements of p are.
func (s Sample) value(p runners.Port) string {
	switch value, given := s.Values[p.Name]; {
	case given:
		return value
	case isFloat(p.DType):
		return "0.5"
	}
	return "1"
}

// size returns the size of open dimension d of p.
func (s Sample) size(p runners.Port, d int, rows, size int64) int64 {
	if n, ok := s.Sizes[fmt.Sprintf("%s.%d", p.Name, d)]; ok {
		return n
	}
	if n, ok := s.Sizes[p.Dims[d].Name]; ok && p.Dims[d].Name != "" {
		return n
	}
	if d == 0 {
		return rows
	}
	return size
}

func isFloat(d runners.DType) bool {
	return d == runners.FP16 || d == runners.BF16 || d == runners.FP32 || d == runners.FP64
}

// filled returns a tensor of which every element is value.
func filled(dtype runners.DType, shape []int64, value string) (runners.Tensor, error) {
	n, ok := runners.Elements(shape)
	if !ok || n > maxSample {
		return runners.Tensor{}, fmt.Errorf("%w: %v is too large to be made up", runners.ErrShape, shape)
	}
	t := runners.Tensor{DType: dtype, Shape: shape}
	if dtype == runners.BYTES {
		data, err := runners.PackBytes(slices.Repeat([][]byte{[]byte(value)}, int(n)))
		t.Data = data
		return t, err
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return t, fmt.Errorf("%q is no number", value)
	}
	one, err := batch.Element(dtype, number)
	t.Data = bytes.Repeat(one, int(n))
	return t, err
}
