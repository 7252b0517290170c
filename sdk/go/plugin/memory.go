package plugin

import (
	"errors"
	"unsafe"
)

// memory translates between the border's 32-bit addresses and Go's pointers. In a plugin the two are the same; natively
// the tests give a buffer that stands for linear memory.
type memory struct {
	base unsafe.Pointer
	size uint64
	// place returns the address of n bytes at p, moving them when they lie elsewhere.
	place func(p unsafe.Pointer, n int) (uint32, error)
}

var errMemory = errors.New("the request points outside of memory")

// at returns a pointer to n bytes at addr.
func (m *memory) at(addr uint32, n uint64) (unsafe.Pointer, error) {
	if uint64(addr) > m.size || n > m.size-uint64(addr) {
		return nil, errMemory
	}
	return unsafe.Add(m.base, addr), nil
}

// values returns the n value descriptors at addr.
func (m *memory) values(addr, n uint32) ([]value, error) {
	p, err := m.at(addr, uint64(n)*valueSize)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*value)(p), n), nil
}

// data returns the bytes that v describes.
func (m *memory) data(v *value) ([]byte, error) {
	p, err := m.at(v.dataPtr, v.dataLen)
	if err != nil || v.dataLen == 0 {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), v.dataLen), nil
}

// put makes v describe b; align says that b must start at a multiple of dataAlign.
func (m *memory) put(v *value, b []byte, align bool) error {
	v.dataLen = uint64(len(b))
	if len(b) == 0 {
		v.dataPtr = 0
		return nil
	}
	if align {
		b = aligned(b)
	}
	addr, err := m.place(unsafe.Pointer(unsafe.SliceData(b)), len(b))
	v.dataPtr = addr
	return err
}

// aligned returns b, or a copy of it that starts at a multiple of dataAlign.
func aligned(b []byte) []byte {
	if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%dataAlign == 0 {
		return b
	}
	moved := alignedBytes(len(b))
	copy(moved, b)
	return moved
}

// alignedBytes returns n zero bytes at a multiple of dataAlign.
func alignedBytes(n int) []byte { return NewTensor[uint8](int64(n)).Data }
