package wasmbin

// Bulk operations are charged by their size. Those on whole memories and tables become calls of functions that are added
// to the module, which keeps the guest's functions small (wazero compiles each memory.fill to a loop: 20,000 of them in
// a function took 42 s) and gives room to cut large ones into chunks with a yield each, so that none runs for long.

const (
	// chunkBytes is the most that a fill or copy does between two yields: 0.2 ms where every page is touched for the
	// first time, 2.9 us each.
	chunkBytes = 256 << 10
	// smallShift and largeShift give the cost of bytes: 16 a unit as long as they are in a core's cache, else 4.
	smallShift, largeShift = 4, 2
	// tableShift gives the cost of table entries, of 8 bytes each.
	tableShift = 1
	// pageShift gives the cost of a page of 64 KiB: 16 bytes a unit.
	pageShift = 12
)

// outlined is a bulk operation that becomes a call.
type outlined uint8

const (
	outFill outlined = iota
	outCopy
	outGrow
	outTableCopy
	outGuard // replaces nothing: a check for code that has no loop head
	outCount
)

// outline returns the function that replaces an instruction.
func outline(op opcode) (fn outlined, ok bool) {
	switch op {
	case opMemoryFill:
		return outFill, true
	case opMemoryCopy:
		return outCopy, true
	case opMemoryGrow:
		return outGrow, true
	case opTableCopy:
		return outTableCopy, true
	}
	return 0, false
}

// inlineSize tells whether an instruction is charged where it stands, and how many bits its size is shifted to give the
// cost. These name a segment, so that they cannot share a function; no toolchain makes many.
func inlineSize(op opcode) (shift int64, ok bool) {
	switch op {
	case opMemoryInit:
		return smallShift, true
	case opTableInit:
		return tableShift, true
	}
	return 0, false
}

// isSized tells whether an instruction is charged by size.
func isSized(op opcode) bool {
	_, out := outline(op)
	_, in := inlineSize(op)
	return out || in
}

// outlines are the functions that a module uses, in the order of their indices.
type outlines struct {
	used  []outlined
	index [outCount]uint32 // position in used, plus 1
}

// call returns the position of a function behind the slow path, and adds it at its first use.
func (o *outlines) call(fn outlined) uint32 {
	if o.index[fn] == 0 {
		o.used = append(o.used, fn)
		o.index[fn] = uint32(len(o.used))
	}
	return o.index[fn]
}

// funcType returns the type of an outlined function.
func (fn outlined) funcType() FuncType {
	switch fn {
	case outGrow:
		return FuncType{Params: []ValueType{I32}, Results: []ValueType{I32}}
	case outGuard:
		return FuncType{}
	default:
		return FuncType{Params: []ValueType{I32, I32, I32}}
	}
}

// outlinedBody returns the body of an outlined function.
func (mt *meter) outlinedBody(fn outlined) []byte {
	mt.out = append([]byte(nil), 0)
	switch fn {
	case outFill:
		mt.fill()
	case outCopy:
		mt.copyMemory()
	case outGrow:
		mt.grow()
	case outGuard:
		mt.check()
	default:
		mt.chargeSize(2, tableShift)
		mt.gets(0, 1, 2)
		mt.out = append(mt.out, prefixMisc, opTableCopy&0xff, 0, 0)
	}
	return append(mt.out, opEnd)
}

// fill is memory.fill of parameters destination, value and size.
func (mt *meter) fill() {
	memoryFill := []byte{prefixMisc, opMemoryFill & 0xff, 0}
	mt.out = append(mt.out, opBlock, blockEmpty) // left when the fill is small, or traps
	mt.leaveIfSmall()
	mt.leaveIfBeyond(0)
	mt.chunks(func() {
		mt.gets(0, 1)
		mt.out = append(mt.i32(chunkBytes), memoryFill...)
		mt.step(0, opI32Add)
		mt.step(2, opI32Sub)
	})
	mt.out = append(mt.out, opEnd)
	mt.chargeSize(2, smallShift)
	mt.gets(0, 1, 2)
	mt.out = append(mt.out, memoryFill...)
}

// copyMemory is memory.copy of parameters destination, source and size. Chunks are copied from the end when the
// destination is above the source, as these may overlap.
func (mt *meter) copyMemory() {
	memoryCopy := []byte{prefixMisc, opMemoryCopy & 0xff, 0, 0}
	mt.out = append(mt.out, opBlock, blockEmpty)
	mt.leaveIfSmall()
	mt.leaveIfBeyond(0)
	mt.leaveIfBeyond(1)
	mt.gets(0, 1)
	mt.out = append(mt.out, opI32GtU, opIf, blockEmpty)
	mt.chunks(func() {
		mt.step(2, opI32Sub)
		mt.sum(0, 2)
		mt.sum(1, 2)
		mt.out = append(mt.i32(chunkBytes), memoryCopy...)
	})
	mt.out = append(mt.out, opElse)
	mt.chunks(func() {
		mt.gets(0, 1)
		mt.out = append(mt.i32(chunkBytes), memoryCopy...)
		mt.step(0, opI32Add)
		mt.step(1, opI32Add)
		mt.step(2, opI32Sub)
	})
	mt.out = append(mt.out, opEnd, opEnd)
	mt.chargeSize(2, smallShift)
	mt.gets(0, 1, 2)
	mt.out = append(mt.out, memoryCopy...)
}

// grow is memory.grow. More pages than the maximum fail at once, and cost no more than these.
func (mt *meter) grow() {
	mt.local(opGlobalGet, mt.fuel)
	mt.gets(0)
	mt.i32(int64(mt.pages))
	mt.gets(0)
	mt.i32(int64(mt.pages))
	mt.out = append(mt.out, opI32LtU, opSelect, opI64ExtendU)
	mt.i64(pageShift)
	mt.out = append(mt.out, opI64Shl)
	mt.takeAndCheck()
	mt.gets(0)
	mt.out = append(mt.out, opMemoryGrow, 0)
}

// chunks repeats a step, with its charge and a yield, while more than a chunk is left in local 2. It yields without
// looking at the fuel, since the time of a step differs by more than ten, with whether its pages were there before.
func (mt *meter) chunks(step func()) {
	mt.out = append(mt.out, opLoop, blockEmpty)
	mt.charge(chunkBytes >> largeShift)
	mt.local(opCall, mt.slow)
	step()
	mt.gets(2)
	mt.out = append(mt.i32(chunkBytes), opI32GtU, opBrIf, 0, opEnd)
}

// leaveIfSmall leaves the innermost block if local 2 is not above a chunk.
func (mt *meter) leaveIfSmall() {
	mt.gets(2)
	mt.out = append(mt.i32(chunkBytes), opI32LeU, opBrIf, 0)
}

// leaveIfBeyond leaves the innermost block if a range from local start, of the size in local 2, leaves the memory: then
// the whole operation must trap without any effect.
func (mt *meter) leaveIfBeyond(start uint32) {
	mt.gets(start)
	mt.out = append(mt.out, opI64ExtendU)
	mt.gets(2)
	mt.out = append(mt.out, opI64ExtendU, opI64Add, opMemorySize, 0, opI64ExtendU)
	mt.i64(16)
	mt.out = append(mt.out, opI64Shl, opI64GtU, opBrIf, 0)
}

// step adds a chunk to a local, or subtracts one.
func (mt *meter) step(local uint32, op byte) {
	mt.gets(local)
	mt.out = append(mt.i32(chunkBytes), op)
	mt.local(opLocalSet, local)
}

func (mt *meter) sum(a, b uint32) {
	mt.gets(a, b)
	mt.out = append(mt.out, opI32Add)
}

func (mt *meter) gets(locals ...uint32) {
	for _, l := range locals {
		mt.local(opLocalGet, l)
	}
}

func (mt *meter) i32(v int64) []byte {
	mt.out = appendS64(append(mt.out, opI32Const), v)
	return mt.out
}

func (mt *meter) i64(v int64) { mt.out = appendS64(append(mt.out, opI64Const), v) }

// chargeSize charges for the size in a local and checks.
func (mt *meter) chargeSize(local uint32, shift int64) {
	mt.local(opGlobalGet, mt.fuel)
	mt.gets(local)
	mt.out = append(mt.out, opI64ExtendU)
	mt.i64(shift)
	mt.out = append(mt.out, opI64ShrU)
	mt.takeAndCheck()
}

// takeAndCheck subtracts the i64 on the stack from the fuel below it.
func (mt *meter) takeAndCheck() {
	mt.out = append(mt.out, opI64Sub)
	mt.local(opGlobalSet, mt.fuel)
	mt.check()
}
