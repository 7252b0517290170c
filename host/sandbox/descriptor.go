package sandbox

import (
	"encoding/binary"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

var le = binary.LittleEndian

// descriptor is a value descriptor, copied out of guest memory so that it cannot change while it is checked.
type descriptor struct {
	namePtr, nameLen       uint32
	kind                   abi.Kind
	dtype                  abi.DType
	rank, flags            uint8
	handle, dataPtr, items uint32
	dataLen                uint64
	dims                   [abi.MaxRank]int64
	mediaPtr, mediaLen     uint32
}

func readDescriptor(b []byte) (d descriptor) {
	b = b[:abi.ValueSize]
	d.namePtr = le.Uint32(b[abi.ValNamePtr:])
	d.nameLen = le.Uint32(b[abi.ValNameLen:])
	d.kind = abi.Kind(b[abi.ValKind])
	d.dtype = abi.DType(b[abi.ValDType])
	d.rank = b[abi.ValRank]
	d.flags = b[abi.ValFlags]
	d.handle = le.Uint32(b[abi.ValHandle:])
	d.dataPtr = le.Uint32(b[abi.ValDataPtr:])
	d.items = le.Uint32(b[abi.ValItems:])
	d.dataLen = le.Uint64(b[abi.ValDataLen:])
	if d.kind == abi.KindBytes || d.kind == abi.KindImage {
		d.mediaPtr = le.Uint32(b[abi.ValMediaPtr:])
		d.mediaLen = le.Uint32(b[abi.ValMediaLen:])
		return d
	}
	for i := range d.dims {
		d.dims[i] = int64(le.Uint64(b[abi.ValDims+8*i:]))
	}
	return d
}

// putShape writes kind, dtype, rank and dimensions of v into a descriptor.
func putShape(b []byte, v *value.Value) {
	b[abi.ValKind] = byte(v.Kind)
	b[abi.ValDType] = byte(v.DType)
	b[abi.ValRank] = byte(len(v.Shape))
	for i, d := range v.Shape {
		le.PutUint64(b[abi.ValDims+8*i:], uint64(d))
	}
}

// putData writes where the data stands.
func putData(b []byte, addr uint32, n int) {
	le.PutUint32(b[abi.ValDataPtr:], addr)
	le.PutUint64(b[abi.ValDataLen:], uint64(n))
}
