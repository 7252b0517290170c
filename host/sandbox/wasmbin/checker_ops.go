package wasmbin

import "slices"

// control checks the instructions with rules of their own.
func (c *checker) control() {
	switch c.in.op {
	case opUnreachable:
		c.unreachable()
	case opNop:
	case opBlock, opLoop, opIf:
		c.open()
	case opElse:
		c.otherwise()
	case opEnd:
		c.end()
	case opBr, opBrIf, opBrTable, opReturn:
		c.branch()
	case opCall, opCallIndirect:
		c.call()
	case opDrop:
		c.pop(0)
	case opSelect:
		c.choose()
	default:
		c.variable()
	}
}

// singleTypes are the results of blocks with a value type as their type.
var singleTypes = [...][]ValueType{{I32}, {I64}, {F32}, {F64}, {V128}}

func (c *checker) blockType() (params, results []ValueType) {
	b := c.in.block
	switch {
	case b >= int64(len(c.p.m.types)):
		c.invalid("block has an unknown type")
	case b >= 0:
		t := &c.p.m.types[b]
		return t.Params, t.Results
	case c.in.end-c.in.start != 2:
		c.r.failAt(c.in.start, CodeMalformed, "block type is not minimal")
	case b == -0x40:
	case b >= -int64(len(singleTypes)):
		return nil, singleTypes[-b-1]
	default:
		c.r.failAt(c.in.start, CodeFeature, "block type is not admitted")
	}
	return nil, nil
}

func (c *checker) open() {
	c.cost.blocks++
	if c.in.op == opIf {
		c.cost.blocks++
		c.pop(I32)
	}
	if c.in.op == opLoop { // with its check
		c.cost.blocks += 3
		c.b.simple = false
		c.loops++
		c.cost.nested += int64(c.loops)
		c.limit("nested loops", c.loops, c.p.lim.LoopDepth)
	}
	params, results := c.blockType()
	c.popAll(params)
	c.frames = append(c.frames, frame{op: c.in.op, height: len(c.ops), params: params, results: results})
	c.pushAll(params)
	c.limit("nested blocks", len(c.frames), c.p.lim.BlockDepth)
}

// close pops the results of the innermost frame and the frame itself.
func (c *checker) close() frame {
	f := *c.top()
	c.popAll(f.results)
	if c.r.err == nil && len(c.ops) != f.height {
		c.invalid("type mismatch: %d operands too many at the end of a block", len(c.ops)-f.height)
	}
	c.frames = c.frames[:len(c.frames)-1]
	if len(c.frames) > 0 { // no locals meet behind the function
		c.cost.meets += f.branches * f.branches
	}
	return f
}

func (c *checker) otherwise() {
	if c.top().op != opIf {
		c.invalid("else without if")
		return
	}
	f := c.close()
	c.frames = append(c.frames, frame{op: opElse, height: f.height, params: f.params, results: f.results})
	c.ops = append(c.ops[:f.height], f.params...)
}

func (c *checker) end() {
	f := c.close()
	if c.r.err != nil {
		return
	}
	if f.op == opIf && !slices.Equal(f.params, f.results) {
		c.invalid("type mismatch: if without else changes the stack")
		return
	}
	if f.op == opLoop {
		c.loops--
	}
	if len(c.frames) > 0 {
		c.ops = append(c.ops[:f.height], f.results...)
	}
}

func (c *checker) branch() {
	switch c.in.op {
	case opReturn:
		c.cost.blocks++
		c.popAll(c.frames[0].results)
		c.unreachable()
	case opBr:
		if f := c.label(c.in.index); f != nil {
			c.popAll(f.labelTypes())
			c.unreachable()
		}
	case opBrIf:
		c.pop(I32)
		if f := c.label(c.in.index); f != nil {
			c.popAll(f.labelTypes())
			c.pushAll(f.labelTypes())
		}
	default:
		c.branchTable()
	}
}

// branchTable requires the same types of all labels, as the runtime does, and checks each distinct label once.
func (c *checker) branchTable() {
	c.limit("branch targets", int(c.in.index), c.p.lim.BranchTargets)
	c.pop(I32)
	labels := newReader(c.p.m.bin, c.in.labels, c.in.end)
	var types []ValueType
	for i := uint32(0); i <= c.in.index && c.r.err == nil; i++ {
		f := c.label(labels.u32())
		if f == nil {
			return
		}
		if i == 0 {
			types = f.labelTypes()
		}
		if f.checked != c.in.start && !slices.Equal(types, f.labelTypes()) {
			c.invalid("type mismatch: labels of different types")
		}
		f.checked = c.in.start
	}
	c.popAll(types)
	c.unreachable()
}

func (c *checker) call() {
	m := c.p.m
	if c.in.op == opCallIndirect {
		c.b.simple = false
		c.pop(I32)
		switch {
		case !m.table.present:
			c.invalid("call_indirect without a table")
		case int64(c.in.index) >= int64(len(m.types)):
			c.invalid("call_indirect of an unknown type")
		default:
			t := &m.types[c.in.index]
			c.b.table = true
			m.noteIndirect(t)
			c.popAll(t.Params)
			c.pushAll(t.Results)
		}
		return
	}
	if int64(c.in.index) >= int64(m.funcCount()) {
		c.invalid("function %d does not exist", c.in.index)
		return
	}
	c.noteCallee()
	t := m.funcType(c.in.index)
	c.popAll(t.Params)
	c.pushAll(t.Results)
}

// noteCallee keeps the callees of small functions for [inlineCosts].
func (c *checker) noteCallee() {
	m := c.p.m
	if int(c.in.index) < len(m.importTypes) || c.b.instrs > maxInlineCost {
		c.b.simple = false
	}
	if c.b.simple {
		m.callees = append(m.callees, c.in.index)
		c.b.callees.to++
	}
}

func (c *checker) choose() {
	c.pop(I32)
	a := c.pop(0)
	if b := c.pop(a); a == 0 {
		a = b
	}
	c.push(a)
}

func (c *checker) variable() {
	i := int64(c.in.index)
	switch c.in.op {
	case opGlobalGet, opGlobalSet:
		if i >= int64(len(c.p.m.globals)) {
			c.invalid("global %d does not exist", i)
			return
		}
		g := &c.p.m.globals[i]
		switch {
		case c.in.op == opGlobalGet:
			c.push(g.t)
		case !g.mutable:
			c.invalid("global %d is constant", i)
		default:
			c.pop(g.t)
		}
		return
	}
	if i >= int64(len(c.locals)) {
		c.invalid("local %d does not exist", i)
		return
	}
	t := c.locals[i]
	if c.in.op != opLocalGet {
		c.pop(t)
	}
	if c.in.op != opLocalSet {
		c.push(t)
	}
}

// resources checks that the memory, table or segment exists which an instruction uses, and notes what it does to them.
func (c *checker) resources() {
	m := c.p.m
	switch c.in.info.imm {
	case immMemArg, immMemArgLane, immMemory, immTwoMemories, immDataMemory:
		if !m.memory.present {
			c.invalid("no memory")
		}
	case immElemTable, immTwoTables:
		if !m.table.present {
			c.invalid("no table")
		}
	default:
	}
	switch c.in.info.imm {
	case immData, immDataMemory:
		if !c.p.hasCount || int64(c.in.index) >= int64(c.p.dataCount) {
			c.invalid("data segment %d does not exist", c.in.index)
		}
	case immElem, immElemTable:
		if int64(c.in.index) >= int64(m.elemCount) {
			c.invalid("element segment %d does not exist", c.in.index)
		}
	default:
	}
	if c.in.info.imm >= immMemory {
		c.noteBulk()
	}
}

func (c *checker) noteBulk() {
	f := &c.p.m.features
	switch c.in.op {
	case opTableInit, opTableCopy:
		f.mutatesTables = true
	case opDataDrop, opElemDrop:
		f.dropsSegments = true
	case opMemoryInit:
		f.memoryInit = true
	case opMemoryGrow:
		f.memoryGrow = true
	}
	if _, ok := inlineSize(c.in.op); ok {
		c.b.sized = true
		c.cost.blocks += 8
	}
	c.b.simple = c.b.simple && !isSized(c.in.op)
}
