package wasmbin

import (
	"fmt"
	"time"
)

func (p *parser) codeSection(r *reader) {
	at := r.pos
	n := r.count(2)
	if n != len(p.m.funcTypes) {
		r.failAt(at, CodeMalformed, fmt.Sprintf("%d functions, but code for %d", len(p.m.funcTypes), n))
		return
	}
	p.m.bodies = make([]body, n)
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		code := r.take(int(r.u32()))
		if r.err != nil {
			return
		}
		fn := len(p.m.importTypes) + i
		if len(code) > p.lim.BodyBytes {
			p.add(&Error{CodeLimit, at, fn, fmt.Sprintf("code of %d bytes, at most %d are admitted", len(code), p.lim.BodyBytes)})
			continue
		}
		if !p.foreign {
			p.function(fn, r.pos-len(code), r.pos)
		}
	}
}

// function checks one function's code and notes the facts about it.
func (p *parser) function(fn, from, to int) {
	r := newReader(p.m.bin, from, to)
	b := &p.m.bodies[fn-len(p.m.importTypes)]
	b.code = span{from, to}
	t := p.m.funcType(uint32(fn))
	locals := append(p.checker.locals[:0], t.Params...)
	if locals = p.locals(&r, locals); r.err == nil {
		b.locals = len(locals)
		p.checker.reset(p, &r, b, t, locals)
		p.checker.run()
	}
	p.checker.locals = locals
	if r.err == nil {
		p.cost(&r, b)
	}
	if r.err != nil {
		r.err.Func = fn
		p.add(r.err)
	}
}

// locals reads the declarations of locals behind the parameters.
func (p *parser) locals(r *reader, locals []ValueType) []ValueType {
	for n := r.count(2); n > 0 && r.err == nil; n-- {
		at := r.pos
		many := r.u32()
		if uint64(many)+uint64(len(locals)) > uint64(p.lim.Locals) {
			r.failAt(at, CodeLimit, fmt.Sprintf("more than %d locals", p.lim.Locals))
			break
		}
		t := p.valueType(r)
		for range many {
			locals = append(locals, t)
		}
	}
	return locals
}

// cost refuses functions, and modules of many functions, that are valid but would take a compiler too long.
func (p *parser) cost(r *reader, b *body) {
	c := &p.checker.cost
	c.instrs = int64(b.instrs)
	estimate := c.estimate(int64(b.locals))
	p.compile += estimate
	if estimate > p.lim.FunctionCompile {
		r.failAt(b.code.from, CodeLimit, fmt.Sprintf("compiling would take about %v (%d locals, %d branches and blocks), at most %v is admitted",
			estimate.Round(time.Millisecond), b.locals, c.blocks, p.lim.FunctionCompile))
	}
}
