package wasmbin

import "fmt"

// ValueType is the type of a parameter, result, local or global, in its binary encoding.
type ValueType byte

// The value types that a module may use. References are not among them.
const (
	I32  ValueType = 0x7f
	I64  ValueType = 0x7e
	F32  ValueType = 0x7d
	F64  ValueType = 0x7c
	V128 ValueType = 0x7b
)

// String returns the type's name in the text format, such as "i32".
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	default:
		return fmt.Sprintf("type 0x%02x", byte(t))
	}
}

// FuncType is the signature of a function. Its slices are shared and must not be changed.
type FuncType struct {
	Params, Results []ValueType
}

// Import is a function import: one that the host offers, or one that a module asks for.
type Import struct {
	Module, Name    string
	Params, Results []ValueType
}

// ExportKind says what an export refers to, in its binary encoding.
type ExportKind byte

// The kinds of export.
const (
	KindFunc   ExportKind = 0
	KindTable  ExportKind = 1
	KindMemory ExportKind = 2
	KindGlobal ExportKind = 3
)

// Export is one export of a module.
type Export struct {
	Name  string
	Kind  ExportKind
	Index uint32   // in the index space of its kind, imports first
	Func  FuncType // of a function; empty for other kinds
}

// Global is a mutable global that [Module.Rewrite] exported so that the host can save and restore it.
type Global struct {
	Name  string // exported name
	Index uint32 // in the module's global index space
	Type  ValueType
}
