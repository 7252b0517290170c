package wasmbin

import "encoding/binary"

// Section identifiers of the binary format.
const (
	secCustom byte = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag
)

const header = "\x00asm\x01\x00\x00\x00"

func appendU32(b []byte, x uint32) []byte { return binary.AppendUvarint(b, uint64(x)) }

func appendS64(b []byte, x int64) []byte {
	for {
		c := byte(x & 0x7f)
		x >>= 7
		if (x == 0 && c&0x40 == 0) || (x == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte { return append(appendU32(b, uint32(len(s))), s...) }

func appendSection(b []byte, id byte, body []byte) []byte {
	return append(appendU32(append(b, id), uint32(len(body))), body...)
}

// appendConst appends the constant expression that yields the value of type t with the given bits; of a v128 they are
// the lower half, the upper half is zero.
func appendConst(b []byte, t ValueType, raw uint64) []byte {
	switch t {
	case I32:
		b = appendS64(append(b, opI32Const), int64(int32(uint32(raw))))
	case I64:
		b = appendS64(append(b, opI64Const), int64(raw))
	case F32:
		b = binary.LittleEndian.AppendUint32(append(b, opF32Const), uint32(raw))
	case F64:
		b = binary.LittleEndian.AppendUint64(append(b, opF64Const), raw)
	default:
		b = binary.LittleEndian.AppendUint64(append(b, prefixVector, opV128Const&0xff), raw)
		b = binary.LittleEndian.AppendUint64(b, 0)
	}
	return append(b, opEnd)
}
