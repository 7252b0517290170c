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

// subtract takes a constant from the i64 on the stack.
func (mt *meter) subtract(cost int64) {
	mt.out = append(appendS64(append(mt.out, opI64Const), cost), opI64Sub)
}

// source pushes the fuel left.
func (mt *meter) source() {
	if mt.plan.lazy {
		mt.local(opLocalGet, mt.fuelLocal)
		return
	}
	mt.local(opGlobalGet, mt.fuel)
}

// charge takes fuel without a check.
func (mt *meter) charge(cost int64) {
	mt.source()
	mt.subtract(cost)
	if mt.plan.lazy {
		mt.local(opLocalSet, mt.fuelLocal)
		return
	}
	mt.local(opGlobalSet, mt.fuel)
}

func (mt *meter) chargeAndCheck(cost int64) {
	mt.source()
	mt.subtract(cost)
	mt.check()
}

// check stores the fuel left, which is on the stack, and yields if it is below zero:
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
	if mt.plan.lazy {
		mt.local(opLocalSet, mt.fuelLocal)
	} else {
		mt.local(opLocalTee, mt.fuelLocal)
		mt.local(opGlobalSet, mt.fuel)
	}
	mt.out = append(mt.out, opBlock, blockEmpty, opBlock, blockEmpty)
	mt.checkAside()
	mt.out = append(mt.out, opBr, 1, opEnd)
	mt.yieldAside(nil)
	mt.out = append(mt.out, opEnd)
}

// checkAside leaves the innermost block if fuel is below zero.
func (mt *meter) checkAside() {
	mt.local(opLocalGet, mt.fuelLocal)
	mt.out = append(mt.out, opI64Const, 0, opI64LtS, opBrIf, 0)
}

// yieldAside calls the yield function and keeps the given locals in globals meanwhile.
func (mt *meter) yieldAside(saved []uint32) {
	if mt.plan.lazy {
		mt.flush()
	}
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
	if mt.plan.lazy {
		mt.load()
	}
}

// vectorRegisters is how many of wazero's vector registers a call does not preserve (amd64; arm64 has more, but needs no
// clearing).
const vectorRegisters = 8

// slowPath returns the body of the function that all checks call when fuel is gone. It calls the yield import and then
// loads as many vector registers as a call clobbers. The host leaves arbitrary bits in their upper halves, and an amd64
// core then makes scalar conversions wait for the register's previous value: measured, a loop of one conversion and two
// divisions took 2.4 to 3 times as long after a yield.
func (mt *meter) slowPath() []byte {
	mt.out = append([]byte(nil), 0)
	mt.local(opCall, mt.yield)
	globals := mt.scratch.take(make([]uint32, vectorRegisters), []ValueType{F64})
	for _, g := range globals { // different ones: a second load of the same one would be elided
		mt.local(opGlobalGet, g)
	}
	for _, g := range globals {
		mt.local(opGlobalSet, g)
	}
	return append(mt.out, opEnd)
}

// flush writes the fuel in the local to the global.
func (mt *meter) flush() {
	mt.local(opLocalGet, mt.fuelLocal)
	mt.local(opGlobalSet, mt.fuel)
}

// load reads the fuel in the global into the local.
func (mt *meter) load() {
	mt.local(opGlobalGet, mt.fuel)
	mt.local(opLocalSet, mt.fuelLocal)
}

// chargeSize charges for the operand on top of the stack and leaves it there.
func (mt *meter) chargeSize(op opcode, shift int) {
	mt.local(opLocalTee, mt.sizeLocal)
	mt.source()
	if op == opMemoryGrow { // more than the maximum fails at once and costs nothing more
		mt.local(opLocalGet, mt.sizeLocal)
		mt.out = appendS64(append(mt.out, opI32Const), int64(mt.pages))
		mt.local(opLocalGet, mt.sizeLocal)
		mt.out = appendS64(append(mt.out, opI32Const), int64(mt.pages))
		mt.out = append(mt.out, opI32LtU, opSelect)
	} else {
		mt.local(opLocalGet, mt.sizeLocal)
	}
	mt.out = append(mt.out, opI64ExtendU)
	if shift < 0 {
		mt.out = append(appendS64(append(mt.out, opI64Const), int64(-shift)), opI64ShrU, opI64Sub)
	} else {
		mt.out = append(appendS64(append(mt.out, opI64Const), int64(shift)), opI64Shl, opI64Sub)
	}
	mt.check()
}
