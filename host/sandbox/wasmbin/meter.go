package wasmbin

// Metering. Fuel lives in a mutable global. A charge subtracts a constant; a check calls the yield function when fuel is
// below the stop global, which is 0 until the host wants the guest to stop. wazero reads that one from memory at each loop
// head and function entry, which is where checks stand; elsewhere a check is a call. wazero keeps the global in a register within a function and stores each new value, so that the global is
// exact whenever the guest stops: at a yield, in a host call, after the end and after a trap.

// meter rewrites function bodies.
type meter struct {
	m        *Module
	planner  planner
	scratch  scratch
	outs     outlines
	dispatch *dispatch // nil for a table that stays
	yield    uint32    // function index of the yield import
	slow     uint32    // function index of the function that calls it
	fuel     uint32    // global index of the fuel global
	stop     uint32    // global index of the stop global
	pages    uint32    // memory maximum

	// the following belong to the function being rewritten
	out       []byte
	plan      *funcPlan // nil for a function that its callers pay for
	locals    []ValueType
	sizeLocal uint32     // an i32 that holds the operand of a bulk operation or the index of an indirect call
	depth     int        // labels open in the output
	frames    []outFrame // blocks open in the source
	nextLoop  int        // in plan.loops
	charges   []charge   // rest of plan.charges
	guards    []int      // rest of plan.guards
}

// outFrame is a block that is open in the source.
type outFrame struct {
	label int       // output depth of the label that stands for its own
	loop  *loopPlan // of a loop whose yield stands behind it
}

// fn maps a function index to the rewritten module, which has one import more.
func (mt *meter) fn(index uint32) uint32 {
	if index >= mt.yield {
		return index + 1
	}
	return index
}

// function appends the rewritten body of the function that is the i-th defined by the module.
func (mt *meter) function(out []byte, i int) []byte {
	b := &mt.m.bodies[i]
	mt.out, mt.plan = out, nil
	mt.depth, mt.frames, mt.nextLoop, mt.charges, mt.guards = 0, append(mt.frames[:0], outFrame{}), 0, nil, nil
	code := mt.declare(b, mt.m.types[mt.m.funcTypes[i]].Params)
	if mt.planner.inline[len(mt.m.importTypes)+i] == 0 {
		mt.plan = mt.planner.function(code)
		mt.charges, mt.guards = mt.plan.charges, mt.plan.guards
		mt.charge(mt.plan.entry)
		if mt.plan.checked {
			mt.check()
		}
	}
	mt.walk(code)
	return mt.out
}

// declare emits the declarations of locals and returns the instructions.
func (mt *meter) declare(b *body, params []ValueType) (code span) {
	mt.locals = append(mt.locals[:0], params...)
	r := newReader(mt.m.bin, b.code.from, b.code.to)
	groups := r.u32()
	from := r.pos
	for range groups {
		n, t := r.u32(), ValueType(r.byte())
		for range n {
			mt.locals = append(mt.locals, t)
		}
	}
	mt.sizeLocal = uint32(len(mt.locals))
	if b.sized || b.table && mt.dispatch != nil {
		mt.out = append(appendU32(mt.out, groups+1), mt.m.bin[from:r.pos]...)
		mt.out = append(mt.out, 1, byte(I32))
	} else {
		mt.out = append(appendU32(mt.out, groups), mt.m.bin[from:r.pos]...)
	}
	return span{r.pos, b.code.to}
}

// walk copies instructions, adapting labels and function indices and inserting charges.
func (mt *meter) walk(code span) {
	r := newReader(mt.m.bin, code.from, code.to)
	var in instr
	for r.more() {
		r.instr(&in)
		if len(mt.charges) > 0 && mt.charges[0].pos == in.start {
			mt.charge(mt.charges[0].cost)
			mt.charges = mt.charges[1:]
		}
		if len(mt.guards) > 0 && mt.guards[0] == in.start {
			mt.local(opCall, mt.slow+mt.outs.call(outGuard))
			mt.guards = mt.guards[1:]
		}
		if in.info.custom {
			mt.control(&in)
			continue
		}
		if fn, ok := outline(in.op); ok {
			mt.local(opCall, mt.slow+mt.outs.call(fn))
			continue
		}
		if shift, ok := inlineSize(in.op); ok {
			mt.local(opLocalTee, mt.sizeLocal)
			mt.chargeSize(mt.sizeLocal, shift)
		}
		mt.copy(&in)
	}
}

func (mt *meter) copy(in *instr) { mt.out = append(mt.out, mt.m.bin[in.start:in.end]...) }

func (mt *meter) control(in *instr) {
	switch in.op {
	case opBlock, opIf:
		mt.open(mt.m.bin[in.start:in.end])
		mt.frames = append(mt.frames, outFrame{label: mt.depth})
	case opLoop:
		mt.loop(in)
	case opEnd:
		mt.end()
	case opBr, opBrIf:
		mt.local(byte(in.op), mt.label(in.index))
	case opBrTable:
		mt.branchTable(in)
	case opCall:
		mt.local(opCall, mt.fn(in.index))
	case opCallIndirect:
		if mt.dispatch != nil {
			mt.indirect(in.index)
			return
		}
		mt.copy(in)
	default:
		mt.copy(in)
	}
}

// local appends an opcode with one index.
func (mt *meter) local(op byte, index uint32) { mt.out = appendU32(append(mt.out, op), index) }

func (mt *meter) open(head []byte) {
	mt.out = append(mt.out, head...)
	mt.depth++
}

func (mt *meter) openBlock() { mt.open([]byte{opBlock, blockEmpty}) }

func (mt *meter) close() {
	mt.out = append(mt.out, opEnd)
	mt.depth--
}

// label maps a label to the output.
func (mt *meter) label(l uint32) uint32 {
	return uint32(mt.depth - mt.frames[len(mt.frames)-1-int(l)].label)
}

func (mt *meter) branchTable(in *instr) {
	mt.local(opBrTable, in.index)
	labels := newReader(mt.m.bin, in.labels, in.end)
	for labels.more() {
		mt.out = appendU32(mt.out, mt.label(labels.u32()))
	}
}

// loop emits a loop's opening with its check and charge. The yield stands behind the body where that is possible, and
// a small body is repeated, so that a check serves several iterations:
//
//	block                    ;; exit
//	  loop                   ;; next round
//	    block                ;; out of fuel
//	      check, charge
//	      block              ;; second iteration
//	        body
//	        br exit
//	      end
//	      body
//	      br exit
//	    end
//	    yield
//	    br next round
//	  end
//	end
func (mt *meter) loop(in *instr) {
	head := mt.m.bin[in.start:in.end]
	l := &mt.plan.loops[mt.nextLoop]
	mt.nextLoop++
	if !l.aside {
		mt.open(head)
		mt.frames = append(mt.frames, outFrame{label: mt.depth})
		mt.check()
		mt.charge(l.cost)
		return
	}
	mt.open(append([]byte{opBlock}, head[1:]...))
	mt.open(head)
	round := mt.depth
	mt.openBlock()
	mt.leaveIfEmpty()
	mt.charge(l.cost)
	charges := mt.charges
	for range l.times - 1 {
		mt.openBlock()
		mt.frames = append(mt.frames, outFrame{label: mt.depth})
		mt.walk(span{l.from, l.to})
		mt.charges = charges
		mt.frames = mt.frames[:len(mt.frames)-1]
		mt.local(opBr, uint32(mt.depth-round+1))
		mt.close()
		mt.charge(l.cost)
	}
	mt.frames = append(mt.frames, outFrame{label: round, loop: l})
}

// end emits the end of a block, and the yield that stands behind a loop's body.
func (mt *meter) end() {
	f := mt.frames[len(mt.frames)-1]
	mt.frames = mt.frames[:len(mt.frames)-1]
	if f.loop == nil {
		mt.close()
		return
	}
	mt.local(opBr, uint32(mt.depth-f.label+1))
	mt.close()
	mt.yieldAside(f.loop.saved)
	mt.local(opBr, uint32(mt.depth-f.label))
	mt.close()
	mt.close()
}
