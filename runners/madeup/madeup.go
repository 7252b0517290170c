// Package madeup makes up inputs for a model from its signature, to warm it, measure it, or see that it runs at all. It starts no
// goroutines and has no locks.
package madeup

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
)

// Config says what inputs are to be like. Where it says nothing, sizes and values are guessed.
type Config struct {
	// Sizes are the sizes of open dimensions, by the dimension's name, or as "input.index".
	Sizes map[string]int64
	// Values are what all elements of an input are, by the input's name: a number, or any text for an input of strings.
	// Default: 0.5 for floats, 1 for all others and for what is called a mask, so that all of a sequence counts.
	Values map[string]string
	// MaxBytes bounds one input. Default 256 MiB.
	MaxBytes int64
}

const defaultBytes = 256 << 20

// Guesses of open dimensions' sizes, besides the rows.
const (
	side     = 64 // of an image: models that halve it several times want a multiple of 32
	sequence = 16
)

// sizes are tried for all open dimensions other than the rows: 0 for guesses by what they look like, then the likely ones first:
// sequences, the sides of pictures, what models with odd demands take.
func sizes() []int64 { return []int64{0, 16, 64, 224, 128, 32, 48, 320, 512, 640, 8, 1} }

// Find looks for a size of the open dimensions that the model takes, by having run run it on inputs of one row. It returns what
// [Config.Inputs] takes as size, the error of the first try when all failed, and ctx's when that ended.
func (c Config) Find(ctx context.Context, ports []runners.Port, run func(in []runners.Tensor) error) (size int64, err error) {
	var first error
	for _, size := range sizes() {
		in, err := c.Inputs(ports, 1, size)
		if err == nil {
			err = run(in)
		}
		if err == nil {
			return size, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if first == nil {
			first = err
		}
		if !hasOpen(ports) {
			break
		}
	}
	return 0, first
}

// hasOpen reports whether a dimension other than the first is open.
func hasOpen(ports []runners.Port) bool {
	return slices.ContainsFunc(ports, func(p runners.Port) bool {
		return len(p.Dims) > 1 && slices.ContainsFunc(p.Dims[1:], func(d runners.Dim) bool { return d.Size < 0 })
	})
}

// Inputs makes the inputs of one run: rows is the size of open first dimensions and of those called batch, size that of the other
// open ones, 0 to guess each. An input of an open number of dimensions gets one.
func (c Config) Inputs(ports []runners.Port, rows, size int64) ([]runners.Tensor, error) {
	out := make([]runners.Tensor, len(ports))
	for i, p := range ports {
		shape := make([]int64, len(p.Dims))
		for axis := range p.Dims {
			shape[axis] = c.size(p, axis, rows, size)
		}
		if p.Dims == nil {
			shape = []int64{rows}
		}
		var err error
		if out[i], err = c.Filled(p.DType, shape, c.value(p)); err != nil {
			return nil, fmt.Errorf("input %q: %w", p.Name, err)
		}
	}
	return out, nil
}

// value returns what the elements of p are.
func (c Config) value(p runners.Port) string {
	switch value, given := c.Values[p.Name]; {
	case given:
		return value
	case strings.Contains(strings.ToLower(p.Name), "mask"):
	case p.DType == runners.FP16, p.DType == runners.BF16, p.DType == runners.FP32, p.DType == runners.FP64:
		return "0.5"
	}
	return "1"
}

// size returns the size of one dimension.
func (c Config) size(p runners.Port, axis int, rows, size int64) int64 {
	d := p.Dims[axis]
	if d.Size >= 0 {
		return d.Size
	}
	if n, ok := c.Sizes[fmt.Sprintf("%s.%d", p.Name, axis)]; ok {
		return n
	}
	if n, ok := c.Sizes[d.Name]; ok && d.Name != "" {
		return n
	}
	name := strings.ToLower(d.Name)
	switch {
	case axis == 0, strings.Contains(name, "batch"):
		return rows
	case size > 0:
		return size
	case strings.Contains(name, "past"):
		return 0
	case len(p.Dims) == 4: // an image
		return side
	}
	return sequence
}

// Filled returns a tensor of which every element is value.
func (c Config) Filled(dtype runners.DType, shape []int64, value string) (runners.Tensor, error) {
	most := c.MaxBytes
	if most <= 0 {
		most = defaultBytes
	}
	n, ok := runners.Elements(shape)
	each := int64(max(dtype.Size(), 1))
	if dtype == runners.BYTES {
		each = int64(4 + len(value)) // with its length
	}
	if !ok || n > most/each {
		return runners.Tensor{}, fmt.Errorf("%w: %v is too large to be made up: more than %d MiB", runners.ErrShape, shape, most>>20)
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
	if err != nil {
		return t, err
	}
	t.Data = bytes.Repeat(one, int(n))
	return t, nil
}
