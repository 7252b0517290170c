package wasmbin

import "slices"

// A charge plan says where a function pays for its instructions.
//
// Code is cut into pieces at the places where control flow joins or splits. A piece is paid for at its start. Small
// pieces are paid for together with the piece that dominates them, as long as what a piece pays is at most absorbLimit
// more, and at most twice, what it executes itself. So a call is charged for every instruction that it executes, and for at most
// twice as many, however the code is shaped. The first pieces of the function and of each loop (their heads) are checked: fuel
// below zero yields. Everything that repeats passes a head.

const (
	// absorbLimit is how many instructions of other pieces one piece may pay for.
	absorbLimit = 24
	// unrollInstrs is the size of a loop body, in instructions, up to which it is repeated so that one check serves
	// several iterations, and the size that the repeated body may reach.
	unrollInstrs = 24
	unrollTotal  = 64
	unrollTimes  = 4
	// unrollBudget is how many bytes unrolling may add to one function.
	unrollBudget = 4 << 10
	// maxTouches is how many accesses to memory may stand between two checks: each may be the first one to its page, which
	// takes 3 us. callTouches is what a call counts, and what a function may have that is called without a check.
	maxTouches  = 256
	callTouches = 16
	// savedLocals is how many locals a loop may write for them to be saved around its yield.
	savedLocals = 16
)

// charge is one place where fuel is taken without a check.
type charge struct {
	pos  int // offset of the instruction before which it stands
	cost int64
}

// loopPlan is what a loop pays at its head.
type loopPlan struct {
	from, to int // offsets of its first instruction and of its end
	cost     int64
	times    int      // copies of the body
	aside    bool     // its yield stands behind the body, so that the body keeps its registers
	saved    []uint32 // locals to save around that yield
}

// funcPlan is the charge plan of one function. Its slices belong to the planner.
type funcPlan struct {
	entry   int64
	checked bool // at entry
	loops   []loopPlan
	charges []charge
	guards  []int // offsets of instructions before which a check stands, in code that is long between two others
}

// piece is a stretch of code that runs from its start to its end unless it leaves the function or traps.
type piece struct {
	pos      int
	cost     int64
	sure     int64 // of the cost, what is executed whenever the piece is
	absorbed int64 // of the cost, what belongs to other pieces
	region   int32 // -1: function, else loop
	rep      int32 // the piece that pays for it; itself if it is its own
	head     bool
}

// region is a function or loop body without the loops inside it.
type region struct {
	instrs, sites int
	inner         bool     // has loops inside
	params        bool     // the loop takes operands
	table         bool     // contains a br_table
	writes        []uint32 // locals that it sets, at most savedLocals + 1
}

// scope is an open block of the planner.
type scope struct {
	piece int32 // piece at its start
	loop  int32 // loop that it opens, or -1
	dead  bool  // unreachable at its start

	touches, peak int // planner.touches at its start, and the most since then
}

// planner computes charge plans; one serves all functions of a module.
type planner struct {
	m       *Module
	inline  []uint8
	plan    funcPlan
	pieces  []piece
	regions []region // by loop; the function itself is in body
	body    region
	leaf    bool // calls nothing that is metered, so far
	direct  bool // the function begins with a loop
	scopes  []scope
	cur     int32 // piece being filled
	loop    int32 // innermost loop, or -1
	dead    bool
	touches int // most accesses to memory on a path from the last check to here
	most    int // the largest that touches was
}

// function plans the code of one function, given by the span of its instructions.
func (p *planner) function(code span) *funcPlan {
	p.plan = funcPlan{loops: p.plan.loops[:0], charges: p.plan.charges[:0], guards: p.plan.guards[:0]}
	p.pieces, p.regions, p.scopes = p.pieces[:0], p.regions[:0], p.scopes[:0]
	p.body, p.loop, p.dead, p.leaf, p.direct, p.touches, p.most = region{}, -1, false, true, false, 0, 0
	p.begin(code.from, -1, true)
	r := newReader(p.m.bin, code.from, code.to)
	var in instr
	for r.more() {
		r.instr(&in)
		p.instr(&in)
	}
	p.settle()
	p.unroll()
	p.collect()
	return &p.plan
}

func (p *planner) region() *region {
	if p.loop < 0 {
		return &p.body
	}
	return &p.regions[p.loop]
}

// begin starts a piece that is dominated by the piece dom, or a head.
func (p *planner) begin(pos int, dom int32, head bool) {
	p.cur = int32(len(p.pieces))
	p.pieces = append(p.pieces, piece{pos: pos, region: p.loop, rep: dom, head: head})
}

// settle ends the current piece and decides who pays for it.
func (p *planner) settle() {
	c := &p.pieces[p.cur]
	dom := c.rep
	c.rep = p.cur
	if c.head || dom < 0 {
		return
	}
	if d := &p.pieces[dom]; d.absorbed+c.cost <= absorbLimit && d.cost+c.cost <= 2*d.sure {
		d.absorbed += c.cost
		d.cost += c.cost
		c.rep = dom
	}
}

// next ends the current piece and begins one at pos that is dominated by the piece dom.
func (p *planner) next(pos int, dom int32) {
	p.settle()
	p.begin(pos, p.pieces[dom].rep, false)
}

func (p *planner) instr(in *instr) {
	if !p.dead {
		p.touch(in)
		p.count(in)
	}
	switch in.op {
	case opBlock:
		p.open(-1)
	case opLoop:
		p.openLoop(in)
	case opIf:
		p.open(-1)
		p.next(in.end, p.cur)
	case opElse:
		s := p.scopes[len(p.scopes)-1]
		p.dead, p.touches = s.dead, s.touches
		p.next(in.end, s.piece)
	case opEnd:
		p.close(in)
	case opBrIf:
		p.next(in.end, p.cur)
	case opBr, opBrTable, opReturn, opUnreachable:
		p.region().table = p.region().table || in.op == opBrTable
		p.dead = true
	case opLocalSet, opLocalTee:
		p.write(in.index)
	}
}

// open enters a block, which is a loop or -1.
func (p *planner) open(loop int32) {
	p.scopes = append(p.scopes, scope{piece: p.cur, loop: loop, dead: p.dead, touches: p.touches, peak: p.touches})
}

// touch counts an instruction's accesses to memory, and has a check before it when there were too many without one.
func (p *planner) touch(in *instr) {
	n := 0
	switch {
	case in.info.imm == immMemArg || in.info.imm == immMemArgLane:
		n = 1
	case in.op == opCall || in.op == opCallIndirect:
		n = callTouches
		if in.op == opCall {
			n += int(p.inline[in.index])
		}
	}
	if p.touches+n > maxTouches {
		p.plan.guards = append(p.plan.guards, in.start)
		p.touches = 0
	}
	p.raise(p.touches + n)
}

// raise takes note that a path with n accesses leads to here.
func (p *planner) raise(n int) {
	p.touches = max(p.touches, n)
	if len(p.scopes) > 0 {
		s := &p.scopes[len(p.scopes)-1]
		s.peak = max(s.peak, p.touches)
	}
	p.most = max(p.most, p.touches)
}

func (p *planner) write(local uint32) {
	reg := p.region()
	if p.loop >= 0 && len(reg.writes) <= savedLocals && !slices.Contains(reg.writes, local) {
		reg.writes = append(reg.writes, local)
	}
}

func (p *planner) count(in *instr) {
	reg := p.region()
	reg.instrs++
	cost, sure := int64(1), int64(1)
	switch in.op {
	case opBlock, opLoop, opElse, opEnd:
		cost, sure = 0, 0
	case opCall, opCallIndirect:
		if in.op == opCall && p.inline[in.index] > 0 {
			cost += int64(p.inline[in.index])
			sure += int64(p.inline[in.index]) / 2
			reg.instrs += int(p.inline[in.index])
			break
		}
		reg.sites++
		p.leaf = false
	default:
		if isSized(in.op) {
			reg.sites++
			p.leaf = false
		}
	}
	p.pieces[p.cur].cost += cost
	p.pieces[p.cur].sure += sure
}

func (p *planner) openLoop(in *instr) {
	p.settle()
	if p.cur == 0 && p.leaf && !p.dead {
		p.direct = true
	}
	p.open(int32(len(p.regions)))
	p.touches = 0
	p.region().inner = true
	p.loop = int32(len(p.regions))
	params := in.block >= 0 && len(p.m.types[in.block].Params) > 0
	p.regions = append(p.regions, region{params: params})
	p.plan.loops = append(p.plan.loops, loopPlan{from: in.end, times: 1})
	p.begin(in.end, -1, true)
}

func (p *planner) close(in *instr) {
	if len(p.scopes) == 0 { // the function's own end
		return
	}
	s := p.scopes[len(p.scopes)-1]
	p.scopes = p.scopes[:len(p.scopes)-1]
	p.dead = s.dead
	p.raise(s.peak)
	if s.loop >= 0 {
		p.settle()
		p.plan.loops[s.loop].to = in.start
		p.loop = p.pieces[s.piece].region
		p.begin(in.end, p.pieces[s.piece].rep, false)
		return
	}
	p.next(in.end, s.piece)
}

// unroll chooses the small innermost loops to repeat.
func (p *planner) unroll() {
	budget := unrollBudget
	for i := range p.regions {
		reg, l := &p.regions[i], &p.plan.loops[i]
		if reg.inner || reg.params || reg.sites > 0 || reg.instrs > unrollInstrs {
			continue
		}
		times := min(unrollTimes, unrollTotal/max(reg.instrs, 1))
		if bytes := (times - 1) * (l.to - l.from); times > 1 && bytes <= budget {
			l.times = times
			budget -= bytes
		}
	}
}

// collect turns pieces into charges.
func (p *planner) collect() {
	for i := range p.pieces {
		c := &p.pieces[i]
		switch {
		case c.region >= 0 && c.head:
			p.plan.loops[c.region].cost = c.cost
		case c.head:
			p.plan.entry = c.cost
		case c.rep == int32(i) && c.cost > 0:
			p.plan.charges = append(p.plan.charges, charge{c.pos, c.cost})
		}
	}
	// Whatever repeats passes the head of a loop or the entry of a function that is not a leaf, so others need no check.
	// Neither does a function that reaches the head of a loop before anything else.
	p.plan.checked = !p.direct && !(p.leaf && len(p.plan.loops) == 0 && p.most <= callTouches)
	p.setAside()
}

// setAside decides which yields stand behind their loop. A value that a loop carries from one iteration to the next and
// that lives across a call is stored in every iteration; saving it by hand in the yield's path avoids that. It is of no
// use where values live across the guest's own calls: in loops with calls, but for those that a compiler made to
// dispatch between blocks, as Go's does, which keeps nothing in locals across calls.
func (p *planner) setAside() {
	for i := range p.regions {
		reg, l := &p.regions[i], &p.plan.loops[i]
		l.aside = !reg.params
		if !reg.inner && (reg.sites == 0 || reg.table) && len(reg.writes) <= savedLocals {
			l.saved = reg.writes
		}
	}
}
