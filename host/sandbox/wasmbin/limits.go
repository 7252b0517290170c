package wasmbin

import "time"

// Limits bounds what a module may contain. The bounds keep the cost of compiling and instantiating an admitted module
// proportional to its size. A zero field refuses everything that it counts, so start from [DefaultLimits].
type Limits struct {
	ModuleBytes   int // whole binary
	Types         int
	Functions     int // defined by the module
	BodyBytes     int // one function's code
	Locals        int // locals and parameters of one function
	Params        int // of one function type
	Results       int // of one function type
	StackHeight   int // operands on the stack of one function
	BlockDepth    int // nested blocks of one function
	LoopDepth     int // nested loops of one function
	BranchTargets int // of one br_table
	// FunctionCompile and ModuleCompile bound the estimated time of compilation, on one core, of a function and of
	// all functions together.
	FunctionCompile, ModuleCompile time.Duration
	Globals                        int
	Exports                        int
	Imports                        int
	TableEntries                   int // initial entries of the one table
	ElemSegments                   int
	DataSegments                   int
	MemoryPages                    uint32 // initial pages of the one memory
	NameBytes                      int    // one import or export name
}

// DefaultLimits returns the limits for modules from outside. Modules from the usual toolchains (C, Rust, Zig,
// AssemblyScript, Go with encoding/json) stay far below them.
func DefaultLimits() Limits {
	return Limits{
		ModuleBytes:     16 << 20,
		Types:           10_000,
		Functions:       50_000,
		BodyBytes:       256 << 10,
		Locals:          2_000,
		Params:          255,
		Results:         32,
		StackHeight:     4_096,
		BlockDepth:      1_024,
		LoopDepth:       64,
		BranchTargets:   4_096,
		FunctionCompile: 3 * time.Second,
		ModuleCompile:   30 * time.Second,
		Globals:         1_000,
		Exports:         1_000,
		Imports:         1_000,
		TableEntries:    65_536,
		ElemSegments:    10_000,
		DataSegments:    100_000,
		MemoryPages:     65_536,
		NameBytes:       1_024,
	}
}
