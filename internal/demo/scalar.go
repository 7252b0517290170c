package main

import (
	"encoding/binary"
	"math"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// scalar returns the one FP32 element of a tensor, NaN when it is something else.
func scalar(v *tandemv1.Value) float64 {
	if data := v.GetTensor().GetData(); len(data) == 4 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(data)))
	}
	return math.NaN()
}

// flag returns the one BOOL element of a tensor.
func flag(v *tandemv1.Value) bool {
	data := v.GetTensor().GetData()
	return len(data) == 1 && data[0] == 1
}
