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
	fuel    uint32 // global index of the fuel global
	pages   uint32 // memory maximum

	// the following belong to the function being rewritten
	out       []byte
	plan      *funcPlan
	fuelLocal uint32   // i64
	sizeLocal uint32   // i32, operand of a bulk operation
	depth     int      // labels open in the output
	frames    []int    // output depth of the label of each block open in the source
	nextLoop  int      // in plan.loops
	charges   []charge // rest of plan.charges
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
	groups := r.u32()
	declared := r.pos
	for range groups {
		r.u32()
		r.byte()
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
	mt.enter(mt.m.types[mt.m.funcTypes[i]].Results, code)
	return mt.out
}

func (mt *meter) begin(out []byte, b *body) {
	mt.out = out
	mt.fuelLocal, mt.sizeLocal = uint32(b.locals), uint32(b.locals)+1
	mt.depth, mt.frames, mt.nextLoop, mt.charges = 0, append(mt.frames[:0], 0), 0, nil
}

// enter emits the function's code with its entry charge.
func (mt *meter) enter(results []ValueType, code span) {
	mt.local(opGlobalGet, mt.fuel)
	mt.subtract(mt.plan.entry)
	switch {
	case mt.plan.lazy:
		mt.check()
		mt.openWith(mt.types.block(results)) // returns and branches out become branches to its end
		mt.frames[0] = mt.depth
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
			mt.control(&r, &in)
			continue
		}
		if shift, sized := sizeCharge(in.op); sized && mt.plan != nil {
			mt.chargeSize(in.op, shift)
		}
		mt.copy(&in)
	}
}

func (mt *meter) copy(in *instr) { mt.out = append(mt.out, mt.m.bin[in.start:in.end]...) }

func (mt *meter) control(r *reader, in *instr) {
	switch in.op {
	case opBlock, opIf:
		mt.openWith(mt.m.bin[in.start:in.end])
		mt.frames = append(mt.frames, mt.depth)
	case opLoop:
		mt.loop(r, in)
	case opEnd:
		mt.frames = mt.frames[:len(mt.frames)-1]
		mt.close()
	case opBr, opBrIf:
		mt.local(byte(in.op), mt.label(in.index))
	case opBrTable:
		mt.branchTable(in)
	case opReturn:
		if mt.plan != nil && mt.plan.lazy {
			mt.local(opBr, uint32(mt.depth-mt.frames[0]))
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
	return uint32(mt.depth - mt.frames[len(mt.frames)-1-int(l)])
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

// loop emits a loop with its charge; a small one is repeated, so that a charge serves several iterations:
//
//	block                    ;; exit
//	  loop                   ;; next round
//	    charge
//	    block                ;; second iteration
//	      body, then br exit
//	    end
//	    body
//	  end
//	end
func (mt *meter) loop(r *reader, in *instr) {
	head := mt.m.bin[in.start:in.end]
	l := mt.plan.loops[mt.nextLoop]
	mt.nextLoop++
	if l.times == 1 {
		mt.openWith(head)
		mt.frames = append(mt.frames, mt.depth)
		mt.chargeAndCheck(l.cost)
		return
	}
	mt.openWith(append([]byte{opBlock}, head[1:]...))
	exit := mt.depth
	mt.openWith(head)
	mt.chargeAndCheck(l.cost)
	round := mt.depth
	for range l.times - 1 {
		mt.openWith([]byte{opBlock, blockEmpty})
		mt.repeat(span{l.from, l.to}, mt.depth)
		mt.local(opBr, uint32(mt.depth-exit))
		mt.close()
	}
	mt.repeat(span{l.from, l.to}, round)
	mt.close()
	mt.close()
	r.pos = l.to + 1
}

// repeat copies a loop's body; its own label becomes the one at the given depth.
func (mt *meter) repeat(body span, label int) {
	mt.frames = append(mt.frames, label)
	mt.walk(body)
	mt.frames = mt.frames[:len(mt.frames)-1]
}
