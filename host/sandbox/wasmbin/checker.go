package wasmbin

import "fmt"

// checker validates function bodies by the specification's algorithm: an operand stack of types, a control stack of
// frames, and an unknown type for what unreachable code pops. One checker serves all functions of a module.
type checker struct {
	p      *parser
	r      *reader
	b      *body
	locals []ValueType // parameters and locals
	ops    []ValueType // operand stack; 0 is the unknown type
	frames []frame     // control stack
	loops  int         // loops in frames
	cost   compileCost
	in     instr

	branched bool // the function had an instruction that branches
}

// frame is a block, loop, if, else or function body that is open.
type frame struct {
	op          opcode // opBlock, opLoop, opIf or opElse
	unreachable bool
	height      int   // of the operand stack at its start, below its parameters
	checked     int   // offset of the last br_table that named it
	branches    int64 // that name it
	params      []ValueType
	results     []ValueType
}

// labelTypes returns what a branch to the frame takes from the stack.
func (f *frame) labelTypes() []ValueType {
	if f.op == opLoop {
		return f.params
	}
	return f.results
}

func (c *checker) reset(p *parser, r *reader, b *body, t *FuncType, locals []ValueType) {
	c.p, c.r, c.b, c.locals = p, r, b, locals
	c.ops, c.frames, c.loops, c.cost = c.ops[:0], c.frames[:0], 0, compileCost{}
	c.frames = append(c.frames, frame{op: opBlock, results: t.Results})
	c.branched, b.simple = false, true
	b.callees = span{len(p.m.callees), len(p.m.callees)}
}

// run checks the instructions up to the end of the function, which must be the end of its code.
func (c *checker) run() {
	for len(c.frames) > 0 {
		c.r.instr(&c.in)
		if c.r.err != nil {
			return
		}
		c.count()
		if c.in.info.custom {
			c.control()
		} else {
			c.plain()
		}
		if c.r.err != nil {
			return
		}
		if len(c.ops) > c.p.lim.StackHeight {
			c.limit("operands on the stack", len(c.ops), c.p.lim.StackHeight)
			return
		}
	}
	if c.r.more() {
		c.r.fail("code goes on after the function's end")
	}
}

// count counts the current instruction.
func (c *checker) count() {
	c.b.instrs++
	switch c.in.op {
	case opBlock, opLoop, opElse, opEnd:
		return
	}
	c.b.cost++
	if !c.branched {
		c.b.sure++
	}
	switch c.in.op {
	case opIf, opBr, opBrIf, opBrTable, opReturn, opUnreachable:
		c.branched = true
	}
}

func (c *checker) invalid(format string, args ...any) {
	c.r.failAt(c.in.start, CodeInvalid, fmt.Sprintf(format, args...))
}

func (c *checker) limit(what string, got, most int) {
	if got > most {
		c.r.failAt(c.in.start, CodeLimit, fmt.Sprintf("%s: %d, at most %d are admitted", what, got, most))
	}
}

func (c *checker) top() *frame { return &c.frames[len(c.frames)-1] }

func (c *checker) push(t ValueType) { c.ops = append(c.ops, t) }

func (c *checker) pushAll(types []ValueType) { c.ops = append(c.ops, types...) }

// pop removes one operand of type want (0: any) and returns its type.
func (c *checker) pop(want ValueType) ValueType {
	f := c.top()
	if len(c.ops) <= f.height {
		if !f.unreachable {
			c.missing(want)
		}
		return want
	}
	got := c.ops[len(c.ops)-1]
	c.ops = c.ops[:len(c.ops)-1]
	if got != want && got != 0 && want != 0 {
		c.invalid("type mismatch: %s where %s is needed", got, want)
	}
	return got
}

func (c *checker) missing(want ValueType) {
	if want == 0 {
		c.invalid("type mismatch: no operand")
		return
	}
	c.invalid("type mismatch: no operand where %s is needed", want)
}

func (c *checker) popAll(types []ValueType) {
	for i := len(types) - 1; i >= 0 && c.r.err == nil; i-- {
		c.pop(types[i])
	}
}

// plain checks an instruction whose types the table knows.
func (c *checker) plain() {
	info := c.in.info
	for i := int(info.pops) - 1; i >= 0; i-- {
		c.pop(info.pop[i])
	}
	if info.push != 0 {
		c.push(info.push)
	}
	if info.imm >= immMemArg {
		c.resources()
	}
}

// unreachable makes the rest of the frame polymorphic.
func (c *checker) unreachable() {
	f := c.top()
	c.ops = c.ops[:f.height]
	f.unreachable = true
}

// label returns the frame that a branch's label refers to, or nil.
func (c *checker) label(l uint32) *frame {
	if int64(l) >= int64(len(c.frames)) {
		c.invalid("label %d does not exist", l)
		return nil
	}
	f := &c.frames[len(c.frames)-1-int(l)]
	f.branches++
	c.cost.blocks++
	return f
}
