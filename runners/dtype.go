package runners

import "fmt"

// DType is the element type of a tensor, numbered as ONNX TensorProto.DataType and named as in the Open Inference Protocol.
type DType uint8

// Element types.
const (
	DTypeNone DType = 0
	FP32      DType = 1
	UINT8     DType = 2
	INT8      DType = 3
	UINT16    DType = 4
	INT16     DType = 5
	INT32     DType = 6
	INT64     DType = 7
	BYTES     DType = 8 // u32 offsets[n+1], then the elements' bytes (Arrow's layout)
	BOOL      DType = 9 // one byte, 0 or 1
	FP16      DType = 10
	FP64      DType = 11
	UINT32    DType = 12
	UINT64    DType = 13
	BF16      DType = 16
)

var dtypes = [...]struct {
	name string
	size int
}{
	FP32: {"FP32", 4}, UINT8: {"UINT8", 1}, INT8: {"INT8", 1}, UINT16: {"UINT16", 2}, INT16: {"INT16", 2},
	INT32: {"INT32", 4}, INT64: {"INT64", 8}, BYTES: {"BYTES", 0}, BOOL: {"BOOL", 1}, FP16: {"FP16", 2},
	FP64: {"FP64", 8}, UINT32: {"UINT32", 4}, UINT64: {"UINT64", 8}, BF16: {"BF16", 2},
}

// Valid reports whether d is one of the element types above.
func (d DType) Valid() bool { return int(d) < len(dtypes) && dtypes[d].name != "" }

// Size returns the bytes of one element, 0 for BYTES, whose elements vary.
func (d DType) Size() int {
	if int(d) < len(dtypes) {
		return dtypes[d].size
	}
	return 0
}

// String returns the Open Inference Protocol's name.
func (d DType) String() string {
	if d.Valid() {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}
