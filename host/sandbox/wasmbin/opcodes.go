package wasmbin

// opcode is an instruction's opcode: one byte, or a prefix byte and its sub-opcode.
type opcode uint16

// The opcodes that something here treats specially.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtU       = 0x49
	opI32GtU       = 0x4b
	opI32LeU       = 0x4d
	opI64LtS       = 0x53
	opI64GtU       = 0x56
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32And       = 0x71
	opI32ShrU      = 0x76
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	prefixMisc     = 0xfc
	prefixVector   = 0xfd

	opMemoryInit = prefixMisc<<8 | 8
	opDataDrop   = prefixMisc<<8 | 9
	opMemoryCopy = prefixMisc<<8 | 10
	opMemoryFill = prefixMisc<<8 | 11
	opTableInit  = prefixMisc<<8 | 12
	opElemDrop   = prefixMisc<<8 | 13
	opTableCopy  = prefixMisc<<8 | 14

	opV128Const = prefixVector<<8 | 12
)

// Encodings of reference and composite types, and of the empty block type.
const (
	typeFuncRef   = 0x70
	typeExternRef = 0x6f
	formFunc      = 0x60
	blockEmpty    = 0x40
)

// immediates says what follows an opcode.
type immediates uint8

const (
	immUnknown immediates = iota // the opcode is not admitted
	immNone
	immBlock    // block type
	immLabel    // label
	immLabels   // vector of labels, default label
	immFunc     // function
	immIndirect // type, table
	immLocal    // local
	immGlobal   // global
	immLane     // lane
	immShuffle  // 16 lanes
	immI32      // constants
	immI64
	immF32
	immF64
	immV128
	immMemArg      // alignment, offset; from here on a memory, table or segment must exist
	immMemArgLane  // alignment, offset, lane
	immMemory      // memory
	immTwoMemories // memory, memory
	immData        // data segment
	immDataMemory  // data segment, memory
	immElem        // element segment
	immElemTable   // element segment, table
	immTwoTables   // table, table
)

// opInfo describes an admitted instruction. Instructions whose operand types depend on their context have only their
// immediates here.
type opInfo struct {
	imm    immediates
	custom bool // typed by its own rule, not by pop and push
	pops   uint8
	align  uint8 // of immMemArg and immMemArgLane: log2 of the access size
	lanes  uint8 // of immLane and immMemArgLane: number of lanes
	pop    [3]ValueType
	push   ValueType // 0 for none
}

// lookup returns the description of an opcode; its imm is immUnknown for one that is not admitted.
func lookup(op opcode) *opInfo {
	switch op >> 8 {
	case 0:
		return &plainOps[op]
	case prefixMisc:
		if sub := op & 0xff; int(sub) < len(miscOps) {
			return &miscOps[sub]
		}
	case prefixVector:
		return &vectorOps[op&0xff]
	}
	return &unknownOp
}

// The tables are filled once and never written again.
var (
	unknownOp opInfo
	plainOps  = plainTable()
	miscOps   = miscTable()
	vectorOps = vectorTable()
)

func op0(push ValueType) opInfo { return opInfo{imm: immNone, push: push} }
func op1(a, push ValueType) opInfo {
	return opInfo{imm: immNone, pops: 1, pop: [3]ValueType{a}, push: push}
}

func op2(a, b, push ValueType) opInfo {
	return opInfo{imm: immNone, pops: 2, pop: [3]ValueType{a, b}, push: push}
}

func op3(a, b, c, push ValueType) opInfo {
	return opInfo{imm: immNone, pops: 3, pop: [3]ValueType{a, b, c}, push: push}
}

func opLoad(align uint8, t ValueType) opInfo {
	return opInfo{imm: immMemArg, align: align, pops: 1, pop: [3]ValueType{I32}, push: t}
}

func opStore(align uint8, t ValueType) opInfo {
	return opInfo{imm: immMemArg, align: align, pops: 2, pop: [3]ValueType{I32, t}}
}

func custom(imm immediates) opInfo { return opInfo{imm: imm, custom: true} }

func (o opInfo) with(imm immediates) opInfo {
	o.imm = imm
	return o
}

// fill sets table[from] to table[to], both included.
func fill(table []opInfo, from, to int, o opInfo) {
	for i := from; i <= to; i++ {
		table[i] = o
	}
}

func plainTable() [256]opInfo {
	var t [256]opInfo
	fillControl(&t)
	fillMemory(&t)
	fillNumeric(&t)
	return t
}

func fillControl(t *[256]opInfo) {
	fill(t[:], opUnreachable, opNop, custom(immNone))
	fill(t[:], opBlock, opIf, custom(immBlock))
	t[opElse], t[opEnd], t[opReturn] = custom(immNone), custom(immNone), custom(immNone)
	t[opBr], t[opBrIf], t[opBrTable] = custom(immLabel), custom(immLabel), custom(immLabels)
	t[opCall], t[opCallIndirect] = custom(immFunc), custom(immIndirect)
	t[opDrop], t[opSelect] = custom(immNone), custom(immNone)
	fill(t[:], opLocalGet, opLocalTee, custom(immLocal))
	fill(t[:], opGlobalGet, opGlobalSet, custom(immGlobal))
}

func fillMemory(t *[256]opInfo) {
	loads := []opInfo{
		opLoad(2, I32), opLoad(3, I64), opLoad(2, F32), opLoad(3, F64),
		opLoad(0, I32), opLoad(0, I32), opLoad(1, I32), opLoad(1, I32),
		opLoad(0, I64), opLoad(0, I64), opLoad(1, I64), opLoad(1, I64), opLoad(2, I64), opLoad(2, I64),
		opStore(2, I32), opStore(3, I64), opStore(2, F32), opStore(3, F64),
		opStore(0, I32), opStore(1, I32), opStore(0, I64), opStore(1, I64), opStore(2, I64),
	}
	copy(t[0x28:], loads)
	t[opMemorySize] = op0(I32).with(immMemory)
	t[opMemoryGrow] = op1(I32, I32).with(immMemory)
	t[opI32Const] = op0(I32).with(immI32)
	t[opI64Const] = op0(I64).with(immI64)
	t[opF32Const] = op0(F32).with(immF32)
	t[opF64Const] = op0(F64).with(immF64)
}

func fillNumeric(t *[256]opInfo) {
	t[0x45], t[0x50] = op1(I32, I32), op1(I64, I32) // eqz
	fill(t[:], 0x46, 0x4f, op2(I32, I32, I32))      // comparisons
	fill(t[:], 0x51, 0x5a, op2(I64, I64, I32))
	fill(t[:], 0x5b, 0x60, op2(F32, F32, I32))
	fill(t[:], 0x61, 0x66, op2(F64, F64, I32))
	fill(t[:], 0x67, 0x69, op1(I32, I32)) // arithmetic
	fill(t[:], 0x6a, 0x78, op2(I32, I32, I32))
	fill(t[:], 0x79, 0x7b, op1(I64, I64))
	fill(t[:], 0x7c, 0x8a, op2(I64, I64, I64))
	fill(t[:], 0x8b, 0x91, op1(F32, F32))
	fill(t[:], 0x92, 0x98, op2(F32, F32, F32))
	fill(t[:], 0x99, 0x9f, op1(F64, F64))
	fill(t[:], 0xa0, 0xa6, op2(F64, F64, F64))
	conversions := []opInfo{
		op1(I64, I32),
		op1(F32, I32), op1(F32, I32), op1(F64, I32), op1(F64, I32),
		op1(I32, I64), op1(I32, I64),
		op1(F32, I64), op1(F32, I64), op1(F64, I64), op1(F64, I64),
		op1(I32, F32), op1(I32, F32), op1(I64, F32), op1(I64, F32), op1(F64, F32),
		op1(I32, F64), op1(I32, F64), op1(I64, F64), op1(I64, F64), op1(F32, F64),
		op1(F32, I32), op1(F64, I64), op1(I32, F32), op1(I64, F64),
		op1(I32, I32), op1(I32, I32), op1(I64, I64), op1(I64, I64), op1(I64, I64),
	}
	copy(t[0xa7:], conversions)
}

func miscTable() [15]opInfo {
	bulk := op3(I32, I32, I32, 0)
	return [15]opInfo{
		op1(F32, I32), op1(F32, I32), op1(F64, I32), op1(F64, I32), // saturating conversions
		op1(F32, I64), op1(F32, I64), op1(F64, I64), op1(F64, I64),
		bulk.with(immDataMemory), op0(0).with(immData), bulk.with(immTwoMemories), bulk.with(immMemory),
		bulk.with(immElemTable), op0(0).with(immElem), bulk.with(immTwoTables),
	}
}

// refusedFeature names the WebAssembly feature that an opcode which is not admitted belongs to.
func refusedFeature(op opcode) string {
	switch {
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		return "exceptions"
	case op == 0x12, op == 0x13:
		return "tail calls"
	case op == 0x14, op == 0x15, op == 0xd3, op == 0xd4, op == 0xd5, op == 0xd6:
		return "typed function references"
	case op == 0x1c, op == 0x25, op == 0x26, op >= 0xd0 && op <= 0xd2, op >= prefixMisc<<8|15 && op <= prefixMisc<<8|17:
		return "reference types"
	case op == 0xfb:
		return "garbage collection"
	case op == 0xfe:
		return "threads"
	default:
		return ""
	}
}
