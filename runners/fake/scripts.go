package fake

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tandem-serve/tandem/runners"
)

// AddSub takes a and b, FP32 [batch, 3], and gives their sum and difference.
func AddSub() Script {
	dims := []runners.Dim{{Size: -1, Name: "batch"}, {Size: 3}}
	return Script{
		Signature: runners.Signature{
			Inputs:  []runners.Port{{Name: "a", DType: runners.FP32, Dims: dims}, {Name: "b", DType: runners.FP32, Dims: dims}},
			Outputs: []runners.Port{{Name: "sum", DType: runners.FP32, Dims: dims}, {Name: "difference", DType: runners.FP32, Dims: dims}},
		},
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			if !slices.Equal(in[0].Shape, in[1].Shape) {
				return nil, fmt.Errorf("%w: a is %v and b is %v", runners.ErrRun, in[0].Shape, in[1].Shape)
			}
			sum, difference := floats(in[0]), floats(in[0])
			for i, b := range floats(in[1]) {
				sum[i] += b
				difference[i] -= b
			}
			return []runners.Tensor{tensor(in[0].Shape, sum), tensor(in[0].Shape, difference)}, nil
		},
	}
}

// Echo takes x of the dtype and of any rank and gives it back as y.
func Echo(d runners.DType) Script {
	return Script{
		Signature: runners.Signature{Inputs: []runners.Port{{Name: "x", DType: d}}, Outputs: []runners.Port{{Name: "y", DType: d}}},
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			return []runners.Tensor{{DType: d, Shape: append([]int64{}, in[0].Shape...), Data: append([]byte{}, in[0].Data...)}}, nil
		},
	}
}

// Slow takes steps, INT64 of rank 0, and x, FP32 [n, n], and gives x times itself so many times. It looks at its context
// between two steps.
func Slow() Script {
	square := []runners.Dim{{Size: -1, Name: "n"}, {Size: -1, Name: "n"}}
	return Script{
		Signature: runners.Signature{
			Inputs:  []runners.Port{{Name: "steps", DType: runners.INT64, Dims: []runners.Dim{}}, {Name: "x", DType: runners.FP32, Dims: square}},
			Outputs: []runners.Port{{Name: "y", DType: runners.FP32, Dims: square}},
		},
		Compute: func(ctx context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			n := int(in[1].Shape[0])
			x := floats(in[1])
			y := slices.Clone(x)
			for range binary.LittleEndian.Uint64(in[0].Data) {
				if err := ctx.Err(); err != nil {
					return nil, fmt.Errorf("run fake: %w", err)
				}
				y = multiply(y, x, n)
			}
			return []runners.Tensor{tensor(in[1].Shape, y)}, nil
		},
	}
}

func multiply(a, b []float32, n int) []float32 {
	product := make([]float32, n*n)
	for i := range n {
		for k := range n {
			if a[i*n+k] == 0 {
				continue
			}
			for j := range n {
				product[i*n+j] += a[i*n+k] * b[k*n+j]
			}
		}
	}
	return product
}

// Document takes x, FP32 [batch, 2], and gives one JSON document: an object for each row.
func Document() Script {
	return Script{
		Signature: runners.Signature{
			Inputs:  []runners.Port{{Name: "x", DType: runners.FP32, Dims: []runners.Dim{{Size: -1, Name: "batch"}, {Size: 2}}}},
			Outputs: []runners.Port{{Name: "document", DType: runners.BYTES, Dims: []runners.Dim{}, JSON: true}},
		},
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			text := []byte{'['}
			for i, v := range floats(in[0]) {
				text = append(text, [2]string{`,{"0":`, `,"1":`}[i%2]...)
				text = strconv.AppendFloat(text, float64(v), 'g', -1, 32)
				if i%2 == 1 {
					text = append(text, '}')
				}
			}
			text = append(text, ']')
			if len(text) > 2 {
				text = slices.Delete(text, 1, 2) // the first comma
			}
			data, err := runners.PackBytes([][]byte{text})
			return []runners.Tensor{{DType: runners.BYTES, Shape: []int64{}, Data: data}}, err
		},
	}
}

// Broken takes x, FP32 of any rank, and fails on 7 and more elements; it gives others back as y.
func Broken() Script {
	s := Echo(runners.FP32)
	echo := s.Compute
	s.Compute = func(ctx context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
		if len(in[0].Data) >= 7*4 {
			return nil, fmt.Errorf("%w: it was told to", runners.ErrRun)
		}
		return echo(ctx, in)
	}
	return s
}

func floats(t runners.Tensor) []float32 {
	values := make([]float32, len(t.Data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return values
}

func tensor(shape []int64, values []float32) runners.Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return runners.Tensor{DType: runners.FP32, Shape: append([]int64{}, shape...), Data: data}
}
