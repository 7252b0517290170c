package wasmbin

// charge takes fuel without a check.
func (mt *meter) charge(cost int64) {
	if cost == 0 {
		return
	}
	mt.local(opGlobalGet, mt.fuel)
	mt.out = append(appendS64(append(mt.out, opI64Const), cost), opI64Sub)
	mt.local(opGlobalSet, mt.fuel)
}

// check yields if fuel is gone:
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

// leaveIfEmpty leaves the innermost block if fuel is gone.
func (mt *meter) leaveIfEmpty() {
	mt.local(opGlobalGet, mt.fuel)
	mt.local(opGlobalGet, mt.stop)
	mt.out = append(mt.out, opI64LtS, opBrIf, 0)
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
