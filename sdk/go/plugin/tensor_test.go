package plugin

import (
	"reflect"
	"testing"
	"unsafe"
)

func TestNewTensorIsAligned(t *testing.T) {
	for n := range int64(200) {
		for _, p := range []unsafe.Pointer{
			unsafe.Pointer(unsafe.SliceData(NewTensor[bool](n).Data)),
			unsafe.Pointer(unsafe.SliceData(NewTensor[Float16](n, 3).Data)),
			unsafe.Pointer(unsafe.SliceData(NewTensor[float32](n).Data)),
			unsafe.Pointer(unsafe.SliceData(NewTensor[int64](n).Data)),
		} {
			if uintptr(p)%dataAlign != 0 {
				t.Fatalf("%d elements start at %p", n, p)
			}
		}
	}
}

func TestTensorCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		t    Tensor[float32]
		ok   bool
	}{
		{"a matrix", NewTensor[float32](2, 3), true},
		{"a scalar", Scalar[float32](1), true},
		{"nothing", NewTensor[float32](0, 3), true},
		{"too short", Of([]float32{1}, 2), false},
		{"negative", NewTensor[float32](-1), false},
		{"overflowing", NewTensor[float32](1<<40, 1<<40), false},
		{"rank 9", NewTensor[float32](1, 1, 1, 1, 1, 1, 1, 1, 1), false},
		{"the zero tensor", Tensor[float32]{}, false},
	} {
		if err := c.t.Check(); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if got := NewTensor[bool](2, 3).Dim(1); got != 3 {
		t.Errorf("got %d, want 3", got)
	}
	if got := NewTensor[bool](2, 3).Dim(2); got != 0 {
		t.Errorf("got %d, want 0", got)
	}
}

func TestAnyTensor(t *testing.T) {
	for _, c := range []struct {
		name string
		a    AnyTensor
	}{
		{"FP32", AnyOf(Of([]float32{1, 2}, 2))},
		{"FP64", AnyOf(Of([]float64{1, 2}, 2))},
		{"FP16", AnyOf(Of([]Float16{0x3c00, 0x4000}, 2))},
		{"BF16", AnyOf(Of([]BFloat16{0x3f80, 0x4000}, 2))},
		{"INT8", AnyOf(Of([]int8{1, 2}, 2))},
		{"INT16", AnyOf(Of([]int16{1, 2}, 2))},
		{"INT32", AnyOf(Of([]int32{1, 2}, 2))},
		{"INT64", AnyOf(Of([]int64{1, 2}, 2))},
		{"UINT8", AnyOf(Of([]uint8{1, 2}, 2))},
		{"UINT16", AnyOf(Of([]uint16{1, 2}, 2))},
		{"UINT32", AnyOf(Of([]uint32{1, 2}, 2))},
		{"UINT64", AnyOf(Of([]uint64{1, 2}, 2))},
	} {
		if c.a.DType.String() != c.name {
			t.Errorf("got %s, want %s", c.a.DType, c.name)
		}
		got, err := c.a.Float32s()
		if err != nil || !reflect.DeepEqual(got, []float32{1, 2}) {
			t.Errorf("%s: got %v, %v", c.name, got, err)
		}
	}
	for _, a := range []AnyTensor{AnyOf(Of([]bool{true}, 1)), AnyOf(Of([]string{"a"}, 1))} {
		if _, err := a.Float32s(); err == nil {
			t.Errorf("%s: got no error", a.DType)
		}
	}
}

func TestAs(t *testing.T) {
	a := AnyOf(Of([]int64{7}, 1))
	if got, ok := As[int64](a); !ok || got.Data[0] != 7 {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := As[uint64](a); ok {
		t.Error("an INT64 tensor read as UINT64")
	}
	got, ok := As[string](AnyOf(Of([]string{"a", "", "bc"}, 3)))
	if want := []string{"a", "", "bc"}; !ok || !reflect.DeepEqual(got.Data, want) {
		t.Errorf("got %q, %v, want %q", got.Data, ok, want)
	}
	if _, ok := As[string](AnyTensor{DType: BYTES, Shape: []int64{2}, Data: []byte{0, 0, 0, 0}}); ok {
		t.Error("broken offsets were read")
	}
}
