package sandbox

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
)

// Compiler turns a module that was linted and metered into machine code.
type Compiler interface {
	// Compile compiles wasm and leaves the runtime's cache files in dir, which exists, is empty and belongs to this call.
	// It returns an error that wraps ErrCompile when the module is at fault (too slow, too large, refused by the
	// compiler), ctx's error when ctx ended, and others for faults of the machine. Calls may overlap.
	Compile(ctx context.Context, wasm []byte, dir string) error
}

// compile returns the code of a metered module.
func (h *Host) compile(ctx context.Context, bin []byte) (m wazero.CompiledModule, err error) {
	h.compiling.Lock()
	defer h.compiling.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = reject("compile", "%v: the compiler panicked: %v", ErrCompile, p)
		}
	}()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	m, err = h.rt.CompileModule(ctx, bin)
	if err != nil {
		return nil, reject("compile", "%v: %v", ErrCompile, err)
	}
	return m, nil
}
