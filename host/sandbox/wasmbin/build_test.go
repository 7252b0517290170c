package wasmbin_test

import (
	"encoding/binary"
	"slices"
)

// build is a small assembler for test modules: sections are given as items and joined with their counts. It does not
// check anything, so that it can also build what is wrong.
type build struct {
	types, imports, funcs, tables, mems, globals, exports, elems, codes, datas [][]byte
	start                                                                      []byte
	count                                                                      []byte
	tail                                                                       []byte // behind the last section
}

func leb(x uint32) []byte { return binary.AppendUvarint(nil, uint64(x)) }

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func name(s string) []byte { return cat(leb(uint32(len(s))), []byte(s)) }

// typ is a function type; the parameters and results are encoded value types.
func typ(params, results string) []byte {
	return cat([]byte{0x60}, name(params), name(results))
}

// body is a code entry: local declarations and instructions, to which the final end is added.
func body(locals []byte, code ...byte) []byte {
	if locals == nil {
		locals = []byte{0}
	}
	b := cat(locals, code, []byte{0x0b})
	return cat(leb(uint32(len(b))), b)
}

func export(s string, kind byte, index uint32) []byte {
	return cat(name(s), []byte{kind}, leb(index))
}

func section(id byte, items [][]byte) []byte {
	if items == nil {
		return nil
	}
	b := cat(leb(uint32(len(items))), cat(items...))
	return cat([]byte{id}, leb(uint32(len(b))), b)
}

func rawSection(id byte, b []byte) []byte {
	if b == nil {
		return nil
	}
	return cat([]byte{id}, leb(uint32(len(b))), b)
}

func (b build) bytes() []byte {
	return cat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, b.types), section(2, b.imports), section(3, b.funcs), section(4, b.tables), section(5, b.mems),
		section(6, b.globals), section(7, b.exports), rawSection(8, b.start), section(9, b.elems),
		rawSection(12, b.count), section(10, b.codes), section(11, b.datas), b.tail)
}

// Value types as strings for typ.
const (
	i32 = "\x7f"
	i64 = "\x7e"
	f32 = "\x7d"
	f64 = "\x7c"
)

// function returns a module with one function of type 0, exported as "f", and a memory of one page.
func function(t []byte, locals []byte, code ...byte) build {
	return build{
		types:   [][]byte{t},
		funcs:   [][]byte{{0}},
		mems:    [][]byte{{0, 1}},
		exports: [][]byte{export("f", 0, 0)},
		codes:   [][]byte{body(locals, code...)},
	}
}

// void returns a module with one function () -> ().
func void(code ...byte) build { return function(typ("", ""), nil, code...) }
