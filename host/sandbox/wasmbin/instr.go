package wasmbin

import "fmt"

// instr is one decoded instruction.
type instr struct {
	op     opcode
	info   *opInfo
	start  int    // offset of the opcode
	end    int    // offset behind the immediates
	index  uint32 // label, function, local, global, type, segment, or number of labels before the default one
	block  int64  // block type as s33
	labels int    // offset of the first label of br_table
}

// instr decodes the next instruction. It checks everything that needs no context: the opcode is admitted, immediates are
// well formed, alignments are natural or less, lanes are in range.
func (r *reader) instr(in *instr) {
	in.start = r.pos
	in.op = r.opcode()
	in.info = lookup(in.op)
	if r.err == nil {
		r.immediates(in)
	}
	in.end = r.pos
}

// opcode reads an opcode. Sub-opcodes must be minimal: a runtime that reads them as single bytes would otherwise see
// other instructions than this package does.
func (r *reader) opcode() opcode {
	op := opcode(r.byte())
	switch op {
	case prefixMisc:
		sub := r.byte()
		if sub >= 0x80 {
			r.failAt(r.pos-2, CodeUnsupported, "opcode 0xfc is not minimal, or unknown")
		}
		return op<<8 | opcode(sub)
	case prefixVector:
		sub := r.byte()
		if sub < 0x80 {
			return op<<8 | opcode(sub)
		}
		switch second := r.byte(); {
		case second == 1:
			return op<<8 | opcode(sub)
		case second == 0 || second >= 0x80:
			r.failAt(r.pos-3, CodeUnsupported, "SIMD opcode is not minimal")
		default:
			r.failAt(r.pos-3, CodeFeature, "relaxed SIMD is not admitted")
		}
		return 0
	}
	return op
}

// failAt is fail with another code and place.
func (r *reader) failAt(offset int, code Code, text string) {
	if r.err == nil {
		r.fail(text)
		r.err.Code, r.err.Offset = code, offset
	}
}

func (r *reader) immediates(in *instr) {
	switch in.info.imm {
	case immUnknown:
		r.refuseOpcode(in)
	case immNone:
	case immBlock:
		in.block = r.s33()
	case immLabel, immFunc, immLocal, immGlobal:
		in.index = r.u32()
	case immLabels:
		r.labels(in)
	case immIndirect:
		in.index = r.u32()
		r.table()
	case immMemArg, immMemArgLane, immLane, immShuffle:
		r.memoryImmediates(in)
	case immI32:
		r.s32()
	case immI64:
		r.s64()
	case immF32:
		r.take(4)
	case immF64:
		r.take(8)
	case immV128:
		r.take(16)
	default:
		r.bulkImmediates(in)
	}
}

func (r *reader) memoryImmediates(in *instr) {
	switch in.info.imm {
	case immShuffle:
		for range 16 {
			r.lane(32)
		}
		return
	case immLane:
		r.lane(in.info.lanes)
		return
	default:
	}
	at := r.pos
	if align := r.u32(); align >= 64 {
		r.failAt(at, CodeFeature, "multiple memories are not admitted")
	} else if align > uint32(in.info.align) {
		r.failAt(at, CodeInvalid, "alignment must not be larger than natural")
	}
	r.u32()
	if in.info.imm == immMemArgLane {
		r.lane(in.info.lanes)
	}
}

func (r *reader) lane(lanes uint8) {
	if at := r.pos; r.byte() >= lanes {
		r.failAt(at, CodeInvalid, "lane out of range")
	}
}

func (r *reader) bulkImmediates(in *instr) {
	switch in.info.imm {
	case immMemory:
		r.zero("memories")
	case immTwoMemories:
		r.zero("memories")
		r.zero("memories")
	case immTwoTables:
		r.zero("tables")
		r.zero("tables")
	case immData, immElem:
		in.index = r.u32()
	case immDataMemory:
		in.index = r.u32()
		r.zero("memories")
	case immElemTable:
		in.index = r.u32()
		r.zero("tables")
	default:
	}
}

// zero reads the index of the only memory or table, which must be a single zero byte.
func (r *reader) zero(many string) {
	if at := r.pos; r.byte() != 0 {
		r.failAt(at, CodeFeature, "multiple "+many+" are not admitted")
	}
}

// table reads the table of an indirect call: 0, in as many bytes as the encoding allows. Linkers of LLVM 19 and later, which
// are those of today's Rust and Zig, write five.
func (r *reader) table() {
	if at := r.pos; r.u32() != 0 {
		r.failAt(at, CodeFeature, "multiple tables are not admitted")
	}
}

func (r *reader) labels(in *instr) {
	in.index = uint32(r.count(1))
	in.labels = r.pos
	for i := uint32(0); i <= in.index && r.err == nil; i++ {
		r.u32()
	}
}

func (r *reader) refuseOpcode(in *instr) {
	if feature := refusedFeature(in.op); feature != "" {
		r.failAt(in.start, CodeFeature, feature+" are not admitted")
		return
	}
	r.failAt(in.start, CodeMalformed, fmt.Sprintf("unknown instruction 0x%02x", uint16(in.op)))
}
