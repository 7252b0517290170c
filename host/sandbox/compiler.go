package sandbox

import (
	"context"
	"errors"
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

// inProcess is the Compiler of a host without one.
type inProcess struct{}

var _ Compiler = inProcess{}

// Compile implements [Compiler].
func (inProcess) Compile(ctx context.Context, wasm []byte, dir string) error {
	return compileInto(ctx, wasm, dir)
}

// compileInto compiles wasm in this process. ctx is looked at between functions only.
func compileInto(ctx context.Context, wasm []byte, dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the compiler panicked: %v", ErrCompile, p)
		}
	}()
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return fmt.Errorf("open the compiler's folder: %w", err)
	}
	defer func() { err = errors.Join(err, cache.Close(ctx)) }()
	rt := wazero.NewRuntimeWithConfig(ctx, runtimeConfig().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, rt.Close(ctx)) }()
	if _, err := rt.CompileModule(ctx, wasm); err != nil {
		return fmt.Errorf("%w: %v", ErrCompile, err) //nolint:errorlint // the runtime's errors are text for people
	}
	return context.Cause(ctx)
}

// compile returns the code of a metered module, out of the cache if it is there.
func (h *Host) compile(ctx context.Context, bin []byte) (wazero.CompiledModule, error) {
	h.compiling.Lock()
	defer h.compiling.Unlock()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	if h.cache != nil {
		compile := func(tmp string) error { return h.cfg.Compiler.Compile(ctx, bin, tmp) }
		if err := h.cache.provide(keyOf(bin), compile); err != nil {
			return nil, rejectCompile(err)
		}
	}
	m, err := compileHere(ctx, h.rt, bin)
	if err != nil && h.cache != nil { // the runtime did not like what the cache holds
		err = errors.Join(err, h.cache.drop(keyOf(bin)))
	}
	return m, rejectCompile(err)
}

// compileHere compiles, or loads what the cache provides.
func compileHere(ctx context.Context, rt wazero.Runtime, bin []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the compiler panicked: %v", ErrCompile, p)
		}
	}()
	m, err = rt.CompileModule(ctx, bin)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCompile, err) //nolint:errorlint // the runtime's errors are text for people
	}
	return m, nil
}

// rejectCompile makes a refusal of an error that is the module's fault.
func rejectCompile(err error) error {
	if errors.Is(err, ErrCompile) {
		return &RejectError{Reasons: []Reason{{Code: "compile", Text: err.Error()}}}
	}
	return err
}
