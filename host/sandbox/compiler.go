package sandbox

import "context"

// Compiler turns a module that was linted and metered into machine code.
type Compiler interface {
	// Compile compiles wasm and leaves the runtime's cache files in dir, which exists, is empty and belongs to this call.
	// It returns an error that wraps ErrCompile when the module is at fault (too slow, too large, refused by the
	// compiler), ctx's error when ctx ended, and others for faults of the machine. Calls may overlap.
	Compile(ctx context.Context, wasm []byte, dir string) error
}
