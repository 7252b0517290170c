package wasmbin

// Metering. Fuel lives in a mutable global. A charge subtracts a constant; a check calls the yield import when fuel is
// below zero. In functions with loops that call nothing, fuel lives in a local and is written back around calls and
// at exits ("lazy"), so that the loop touches registers only.

// meter rewrites function bodies.
type meter struct {
	m       *Module
	planner planner
	types   wrapperTypes
	yield   uint32 // function index of the yield import
	slow    uint32 // function index of the function that calls it
	fuel    uint32 // global index of the fuel global
	pages   uint32 // memory maximum
	scratch scratch

	// the following belong to the function being rewritten
	out       []byte
	plan      *funcPlan
	fuelLocal uint32     // i64
	sizeLocal uint32     // i32, operand of a bulk operation
	depth     int        // labels open in the output
	frames    []outFrame // blocks open in the source
	locals    []ValueType
	nextLoop  int      // in plan.loops
	charges   []charge // rest of plan.charges
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
	r := newReader(mt.m.bin, b.code.from, b.code.to)
	t := &mt.m.types[mt.m.funcTypes[i]]
	mt.locals = append(mt.locals[:0], t.Params...)
	groups := r.u32()
	declared := r.pos
	for range groups {
		n, t := r.u32(), ValueType(r.byte())
		for range n {
			mt.locals = append(mt.locals, t)
		}
	}
	code := span{r.pos, b.code.to}
	mt.begin(out, b)
	if mt.planner.inline[len(mt.m.importTypes)+i] > 0 {
		mt.out = append(mt.out, mt.m.bin[b.code.from:code.from]...)
		mt.plan = nil
		mt.walk(code)
		return mt.out
	}
	mt.plan = mt.planner.function(code)
	mt.charges = mt.plan.charges
	mt.out = appendU32(mt.out, groups+2)
	mt.out = append(mt.out, mt.m.bin[declared:code.from]...)
	mt.out = append(mt.out, 1, byte(I64), 1, byte(I32))
	mt.enter(t.Results, code)
	return mt.out
}

func (mt *meter) begin(out []byte, b *body) {
	mt.out = out
	mt.fuelLocal, mt.sizeLocal = uint32(b.locals), uint32(b.locals)+1
	mt.depth, mt.frames, mt.nextLoop, mt.charges = 0, append(mt.frames[:0], outFrame{}), 0, nil
}

// enter emits the function's code with its entry charge.
func (mt *meter) enter(results []ValueType, code span) {
	mt.local(opGlobalGet, mt.fuel)
	mt.subtract(mt.plan.entry)
	switch {
	case mt.plan.lazy:
		mt.check()
		mt.openWith(mt.types.block(results)) // returns and branches out become branches to its end
		mt.frames[0].label = mt.depth
		mt.walk(span{code.from, code.to - 1})
		mt.close()
		mt.flush()
		mt.out = append(mt.out, opEnd)
	case mt.plan.leaf && len(mt.plan.loops) == 0:
		mt.local(opGlobalSet, mt.fuel)
		mt.walk(code)
	default:
		mt.check()
		mt.walk(code)
	}
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
		if in.info.custom {
			mt.control(&in)
			continue
		}
		if shift, sized := sizeCharge(in.op); sized && mt.plan != nil {
			mt.chargeSize(in.op, shift)
		}
		mt.copy(&in)
	}
}

func (mt *meter) copy(in *instr) { mt.out = append(mt.out, mt.m.bin[in.start:in.end]...) }

func (mt *meter) control(in *instr) {
	switch in.op {
	case opBlock, opIf:
		mt.openWith(mt.m.bin[in.start:in.end])
		mt.frames = append(mt.frames, outFrame{label: mt.depth})
	case opLoop:
		mt.loop(in)
	case opEnd:
		mt.end()
	case opBr, opBrIf:
		mt.local(byte(in.op), mt.label(in.index))
	case opBrTable:
		mt.branchTable(in)
	case opReturn:
		if mt.plan != nil && mt.plan.lazy {
			mt.local(opBr, uint32(mt.depth-mt.frames[0].label))
			return
		}
		mt.copy(in)
	case opCall, opCallIndirect:
		mt.call(in)
	default:
		mt.copy(in)
	}
}

// local appends an opcode with one index.
func (mt *meter) local(op byte, index uint32) { mt.out = appendU32(append(mt.out, op), index) }

func (mt *meter) openWith(head []byte) {
	mt.out = append(mt.out, head...)
	mt.depth++
}

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

func (mt *meter) call(in *instr) {
	lazy := mt.plan != nil && mt.plan.lazy && (in.op == opCallIndirect || mt.planner.inline[in.index] == 0)
	if lazy {
		mt.flush()
	}
	if in.op == opCall {
		mt.local(opCall, mt.fn(in.index))
	} else {
		mt.copy(in)
	}
	if lazy {
		mt.load()
	}
}

// loop emits a loop's opening with its charge. The yield stands behind the body where that is possible, and a small
// body is repeated, so that a charge serves several iterations:
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
		mt.openWith(head)
		mt.frames = append(mt.frames, outFrame{label: mt.depth})
		mt.chargeAndCheck(l.cost)
		return
	}
	mt.openWith(append([]byte{opBlock}, head[1:]...))
	mt.openWith(head)
	round := mt.depth
	mt.openWith([]byte{opBlock, blockEmpty})
	mt.checkAside()
	mt.charge(l.cost)
	for range l.times - 1 {
		mt.openWith([]byte{opBlock, blockEmpty})
		mt.frames = append(mt.frames, outFrame{label: mt.depth})
		mt.walk(span{l.from, l.to})
		mt.frames = mt.frames[:len(mt.frames)-1]
		mt.local(opBr, uint32(mt.depth-round+1))
		mt.close()
	}
	mt.frames = append(mt.frames, outFrame{label: round, loop: l})
}

// end emits the end of a block, and the yield that stands behind a loop's body.
func (mt *meter) end() {
	f := mt.frames[len(mt.frames)-1]
	mt.frames = mt.frames[:len(mt.frames)-1]
	if f.loop != nil {
		mt.local(opBr, uint32(mt.depth-f.label+1))
		mt.close()
		mt.yieldAside(f.loop.saved)
		mt.local(opBr, uint32(mt.depth-f.label))
		mt.close()
		mt.close()
		return
	}
	mt.close()
}
