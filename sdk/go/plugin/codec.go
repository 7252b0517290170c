package plugin

import (
	"encoding/binary"
	"errors"
	"slices"
	"unsafe"
)

// codec moves one kind of Go value across the border. Its functions take pointers to the Go value.
type codec struct {
	kind  uint8
	dtype DType   // 0: any, or not a tensor
	size  uintptr // of the Go value
	// scalar says that the Go value is a bare number, which stands for a tensor of rank 0.
	scalar bool
	load   func(m *memory, c *codec, v *value, dst unsafe.Pointer) error
	store  func(m *memory, c *codec, src unsafe.Pointer, v *value) error
	// makeList returns n zero Go values side by side.
	makeList func(n int) unsafe.Pointer
}

// header is how every Tensor of numbers lies in memory, whatever its element type.
type header struct {
	shape []int64
	data  []byte // len and cap count elements, not bytes
}

var errAlign = errors.New("the data is not as long as its shape says")

func loadTensor(m *memory, c *codec, v *value, dst unsafe.Pointer) error {
	data, err := m.data(v)
	if err != nil {
		return err
	}
	shape, n, err := shapeOf(v)
	if err != nil {
		return err
	}
	if n*c.dtype.Size() != len(data) {
		return errAlign
	}
	h := (*header)(dst)
	h.shape = shape
	h.data = unsafe.Slice(unsafe.SliceData(data), len(data))[:n:n]
	return nil
}

func storeTensor(m *memory, c *codec, src unsafe.Pointer, v *value) error {
	h := (*header)(src)
	if err := checkShape(h.shape, len(h.data)); err != nil {
		return err
	}
	setShape(v, c.dtype, h.shape)
	return m.put(v, unsafe.Slice(unsafe.SliceData(h.data), len(h.data)*c.dtype.Size()), true)
}

func loadStrings(m *memory, _ *codec, v *value, dst unsafe.Pointer) error {
	data, err := m.data(v)
	if err != nil {
		return err
	}
	shape, n, err := shapeOf(v)
	if err != nil {
		return err
	}
	s, err := stringsOf(data, n)
	*(*Tensor[string])(dst) = Tensor[string]{Shape: shape, Data: s}
	return err
}

func storeStrings(m *memory, _ *codec, src unsafe.Pointer, v *value) error {
	t := (*Tensor[string])(src)
	if err := t.Check(); err != nil {
		return err
	}
	setShape(v, BYTES, t.Shape)
	return m.put(v, appendStrings(nil, t.Data), true)
}

func loadAny(m *memory, _ *codec, v *value, dst unsafe.Pointer) error {
	data, err := m.data(v)
	if err != nil {
		return err
	}
	shape, n, err := shapeOf(v)
	if err != nil {
		return err
	}
	d := DType(v.dtype)
	if d.String() == "" || d != BYTES && n*d.Size() != len(data) {
		return errAlign
	}
	*(*AnyTensor)(dst) = AnyTensor{DType: d, Shape: shape, Data: data}
	return nil
}

func storeAny(m *memory, _ *codec, src unsafe.Pointer, v *value) error {
	t := (*AnyTensor)(src)
	size := t.DType.Size()
	switch {
	case t.DType == BYTES:
		if n, ok := elements(t.Shape); !ok {
			return checkShape(t.Shape, 0)
		} else if _, err := stringsOf(t.Data, n); err != nil {
			return err
		}
	case size == 0:
		return errors.New("a tensor without an element type")
	default:
		if err := checkShape(t.Shape, len(t.Data)/size); err != nil {
			return err
		}
	}
	setShape(v, t.DType, t.Shape)
	return m.put(v, t.Data, true)
}

func loadScalar(m *memory, c *codec, v *value, dst unsafe.Pointer) error {
	data, err := m.data(v)
	if err != nil {
		return err
	}
	if len(data) != c.dtype.Size() || v.rank > maxRank {
		return errors.New("a single number was expected")
	}
	copy(unsafe.Slice((*byte)(dst), len(data)), data)
	return nil
}

func storeScalar(m *memory, c *codec, src unsafe.Pointer, v *value) error {
	setShape(v, c.dtype, nil)
	return m.put(v, unsafe.Slice((*byte)(src), c.dtype.Size()), true)
}

func loadText(m *memory, _ *codec, v *value, dst unsafe.Pointer) error {
	data, err := m.data(v)
	*(*string)(dst) = string(data)
	return err
}

func storeText(m *memory, _ *codec, src unsafe.Pointer, v *value) error {
	s := *(*string)(src)
	return m.put(v, unsafe.Slice(unsafe.StringData(s), len(s)), false)
}

func loadBytes(m *memory, _ *codec, v *value, dst unsafe.Pointer) error {
	data, err := m.data(v)
	*(*[]byte)(dst) = slices.Clip(data)
	return err
}

func storeBytes(m *memory, _ *codec, src unsafe.Pointer, v *value) error {
	return m.put(v, *(*[]byte)(src), false)
}

// shapeOf returns v's dimensions as a view of the descriptor, and their product.
func shapeOf(v *value) ([]int64, int, error) {
	if v.rank > maxRank {
		return nil, 0, errors.New("a tensor of more than 8 dimensions")
	}
	shape := v.dims[:v.rank:v.rank]
	n, ok := elements(shape)
	if !ok {
		return nil, 0, errAlign
	}
	return shape, n, nil
}

func setShape(v *value, d DType, shape []int64) {
	v.dtype = uint8(d)
	v.rank = uint8(copy(v.dims[:], shape)) // storeX has checked the rank
}

var errStrings = errors.New("a BYTES tensor whose offsets are broken")

// stringsOf reads n strings laid out as u32 offsets[n+1] and bytes. The strings are copies.
func stringsOf(data []byte, n int) ([]string, error) {
	if n == 0 && len(data) == 0 {
		return nil, nil
	}
	if len(data)/4 < n+1 {
		return nil, errStrings
	}
	text := string(data[4*(n+1):])
	out := make([]string, n)
	prev := binary.LittleEndian.Uint32(data)
	if prev != 0 {
		return nil, errStrings
	}
	for i := range out {
		next := binary.LittleEndian.Uint32(data[4*i+4:])
		if next < prev || uint64(next) > uint64(len(text)) {
			return nil, errStrings
		}
		out[i] = text[prev:next]
		prev = next
	}
	if uint64(prev) != uint64(len(text)) {
		return nil, errStrings
	}
	return out, nil
}

func appendStrings(b []byte, s []string) []byte {
	end := uint32(0)
	b = binary.LittleEndian.AppendUint32(b, end)
	for _, e := range s {
		end += uint32(len(e))
		b = binary.LittleEndian.AppendUint32(b, end)
	}
	for _, e := range s {
		b = append(b, e...)
	}
	return b
}
