package wasmbin

// sizeCharge tells whether an instruction's work depends on an operand, the one on top of the stack, and how many bits
// the operand is shifted to the left (negative: right) to give its cost: 16 bytes a unit.
func sizeCharge(op opcode) (shift int, sized bool) {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		return -4, true
	case opTableInit, opTableCopy: // 8 bytes an entry
		return -1, true
	case opMemoryGrow: // 64 KiB a page
		return 12, true
	}
	return 0, false
}

// charge takes fuel without a check.
func (mt *meter) charge(cost int64) {
	mt.local(opGlobalGet, mt.fuel)
	mt.out = append(appendS64(append(mt.out, opI64Const), cost), opI64Sub)
	mt.local(opGlobalSet, mt.fuel)
}

// check yields if fuel is below zero:
//
//	block        ;; go on
//	  block      ;; out of fuel
//	    br_if 0
//	    br 1
//	  end
//	  yield
//	end
//
// This shape is for wazero's compiler: a comparison is fused with a branch to a place that nothing else leads to, and
// where paths join, registers are as the path that stands first left them, which must not be the one with the call.
func (mt *meter) check() {
	mt.out = append(mt.out, opBlock, blockEmpty, opBlock, blockEmpty)
	mt.leaveIfEmpty()
	mt.out = append(mt.out, opBr, 1, opEnd)
	mt.local(opCall, mt.slow)
	mt.out = append(mt.out, opEnd)
}

// leaveIfEmpty leaves the innermost block if fuel is below zero.
func (mt *meter) leaveIfEmpty() {
	mt.local(opGlobalGet, mt.fuel)
	mt.out = append(mt.out, opI64Const, 0, opI64LtS, opBrIf, 0)
}

// yieldAside calls the yield function and keeps the given locals in globals meanwhile.
func (mt *meter) yieldAside(saved []uint32) {
	globals := mt.scratch.take(saved, mt.locals)
	for i, l := range saved {
		mt.local(opLocalGet, l)
		mt.local(opGlobalSet, globals[i])
	}
	mt.local(opCall, mt.slow)
	for i, l := range saved {
		mt.local(opGlobalGet, globals[i])
		mt.local(opLocalSet, l)
	}
}

// slowPath returns the body of the function that all checks call when fuel is gone. A call of it is much smaller in
// machine code than a call of the import, which it makes.
func (mt *meter) slowPath() []byte {
	mt.out = append([]byte(nil), 0)
	mt.local(opCall, mt.yield)
	return append(mt.out, opEnd)
}

// chargeSize charges for the operand on top of the stack, which it leaves there, and checks.
func (mt *meter) chargeSize(op opcode, shift int) {
	mt.local(opLocalTee, mt.sizeLocal)
	mt.local(opGlobalGet, mt.fuel)
	mt.local(opLocalGet, mt.sizeLocal)
	if op == opMemoryGrow { // more than the maximum fails at once
		mt.out = appendS64(append(mt.out, opI32Const), int64(mt.pages))
		mt.local(opLocalGet, mt.sizeLocal)
		mt.out = appendS64(append(mt.out, opI32Const), int64(mt.pages))
		mt.out = append(mt.out, opI32LtU, opSelect)
	}
	mt.out = append(mt.out, opI64ExtendU)
	scale := byte(opI64Shl)
	if shift < 0 {
		scale, shift = opI64ShrU, -shift
	}
	mt.out = append(appendS64(append(mt.out, opI64Const), int64(shift)), scale, opI64Sub)
	mt.local(opGlobalSet, mt.fuel)
	mt.check()
}
