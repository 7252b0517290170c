// Package wasmbin reads, lints and rewrites untrusted WebAssembly binaries before any runtime sees them.
//
// [Parse] validates a module completely (structure, types, limits, features, imports) and reports every reason to
// refuse it. [Module.Rewrite] adds fuel metering and exports mutable globals under names that a guest cannot use.
// [Rewritten.Bake] turns a snapshot of an initialised instance into a module that starts from it.
//
// The package is pure: it starts no goroutines, does no I/O and keeps no state. Time and memory of every function are
// bounded by a multiple of the input's size, whatever the input holds. All values are immutable once returned and may
// be used by many goroutines.
package wasmbin

// Module is a module that passed every check. It refers to the bytes given to [Parse], which must not change while the
// Module is in use.
type Module struct {
	bin         []byte
	sections    [secTag]span // bodies by identifier
	types       []FuncType
	imports     []Import
	importTypes []uint32 // type indices of imports
	funcTypes   []uint32 // type indices of the functions that the module defines
	bodies      []body   // parallel to funcTypes
	callees     []uint32 // see body.callees
	globals     []global
	exports     []Export
	table       tableType
	memory      memoryType
	start       int // function index, or -1
	elemCount   int
	dataCount   int
	indirect    []*FuncType // of indirect calls, see noteIndirect
	addressed   []bool      // by function index: may be called by the host or through the table
	features    features
}

// span is a range of offsets in the binary; empty when both are 0.
type span struct{ from, to int }

func (s span) present() bool { return s.to > 0 }

type global struct {
	t       ValueType
	mutable bool
	init    span // constant expression with its end
}

type tableType struct {
	present  bool
	min, max uint32
	hasMax   bool
}

type memoryType struct {
	present  bool
	min, max uint32
	hasMax   bool
}

// features are facts about the code.
type features struct {
	mutatesTables, dropsSegments, memoryInit, memoryGrow bool
}

// body is what is known of one function's code.
type body struct {
	code    span // local declarations and instructions
	instrs  int  // instructions
	cost    int  // of them, those that are charged: all but the ends and openings of blocks
	sure    int  // of those, those before the first that branches: every call executes them
	locals  int  // parameters and locals
	callees span // into Module.callees: functions called directly; complete only if simple
	simple  bool // no loop, bulk operation, indirect or host call; few instructions
	sized   bool // has instructions of inlineSize
	table   bool // has indirect calls
}

// Exports lists the module's exports in the module's order. The slice is shared and must not be changed.
func (m *Module) Exports() []Export { return m.exports }

// ExportedFunc returns the type of the function that is exported as name.
func (m *Module) ExportedFunc(name string) (FuncType, bool) {
	for _, e := range m.exports {
		if e.Kind == KindFunc && e.Name == name {
			return e.Func, true
		}
	}
	return FuncType{}, false
}

// Imports lists the module's imports, all of them functions, in the module's order. The slice is shared and must not
// be changed.
func (m *Module) Imports() []Import { return m.imports }

// Memory returns the limits of the module's memory in pages of 64 KiB, as the module declares them. A module without a
// memory has 0, 0, true.
func (m *Module) Memory() (minPages, maxPages uint32, hasMax bool) {
	if !m.memory.present {
		return 0, 0, true
	}
	return m.memory.min, m.memory.max, m.memory.hasMax
}

// HasMemory tells whether the module defines a memory.
func (m *Module) HasMemory() bool { return m.memory.present }

// HasStart tells whether the module has a start function, which runs at every instantiation until it is baked away.
func (m *Module) HasStart() bool { return m.start >= 0 }

// MutatesTables tells whether the code can change a table after instantiation (table.init, table.copy). A reset must
// then replace the instance, since the host has no way to restore a table.
func (m *Module) MutatesTables() bool { return m.features.mutatesTables }

// DropsSegments tells whether the code uses data.drop or elem.drop, whose effect a reset cannot undo.
func (m *Module) DropsSegments() bool { return m.features.dropsSegments }

// UsesPassiveData tells whether the code reads data segments at run time (memory.init).
func (m *Module) UsesPassiveData() bool { return m.features.memoryInit }

// GrowsMemory tells whether the code contains memory.grow.
func (m *Module) GrowsMemory() bool { return m.features.memoryGrow }
