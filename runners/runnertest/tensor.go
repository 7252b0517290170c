package runnertest

import (
	"encoding/binary"
	"math"

	"github.com/tandem-serve/tandem/runners"
)

// FP32 returns a tensor of the shape with the values.
func FP32(shape []int64, values ...float32) runners.Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return runners.Tensor{DType: runners.FP32, Shape: shape, Data: data}
}

// Floats returns the values of an FP32 tensor.
func Floats(t runners.Tensor) []float32 {
	values := make([]float32, len(t.Data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return values
}

// INT64 returns a tensor of the shape with the values.
func INT64(shape []int64, values ...int64) runners.Tensor {
	data := make([]byte, 0, 8*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, uint64(v))
	}
	return runners.Tensor{DType: runners.INT64, Shape: shape, Data: data}
}

// Strings returns a BYTES tensor of the shape with the elements.
func Strings(shape []int64, elems ...string) runners.Tensor {
	var packed [][]byte
	for _, e := range elems {
		packed = append(packed, []byte(e))
	}
	data, err := runners.PackBytes(packed)
	if err != nil { // more than 4 GiB of test data
		data = nil
	}
	return runners.Tensor{DType: runners.BYTES, Shape: shape, Data: data}
}

// filled returns a tensor of the dtype and shape with data that differs from element to element.
func filled(d runners.DType, shape []int64) runners.Tensor {
	n, _ := runners.Elements(shape)
	if d == runners.BYTES {
		words := []string{"", "a", "grün", "with\x00zero", "\xff\xfe not text", "日本語"}
		var elems []string
		for i := range n {
			elems = append(elems, words[i%int64(len(words))])
		}
		return Strings(shape, elems...)
	}
	data := make([]byte, n*int64(d.Size()))
	for i := range data {
		data[i] = byte(i*7 + 1)
		if d == runners.BOOL {
			data[i] = byte(i % 2)
		}
	}
	return runners.Tensor{DType: d, Shape: shape, Data: data}
}

// clone returns a copy of t's shape and data in memory of its own.
func clone(t runners.Tensor) runners.Tensor {
	return runners.Tensor{DType: t.DType, Shape: append([]int64{}, t.Shape...), Data: append([]byte{}, t.Data...)}
}

// plain drops how t is given back, so that tensors can be compared.
func plain(t runners.Tensor) runners.Tensor {
	return runners.Tensor{DType: t.DType, Shape: t.Shape, Data: t.Data}
}

// side is the number of rows of the matrices in the tests of slow models.
const side = 64

// identity returns the identity matrix, times scale.
func identity(scale float32) runners.Tensor {
	values := make([]float32, side*side)
	for i := range side {
		values[i*side+i] = scale
	}
	return FP32([]int64{side, side}, values...)
}
