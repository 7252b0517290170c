package sandboxtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Plain runs a test plugin on stock wazero, to compare with. It checks nothing and isolates nothing, and calls only
// function 0, which must have no ports. It is for one goroutine.
type Plain struct {
	rt    wazero.Runtime
	code  wazero.CompiledModule
	mod   api.Module
	run   api.Function
	arena uint64
	stack [1]uint64
}

// NewPlain compiles and instantiates a plugin that imports WASI at most. Interruptible turns on the runtime's own
// interruption. The caller closes it.
func NewPlain(ctx context.Context, wasm []byte, interruptible bool) (*Plain, error) {
	p := &Plain{rt: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(interruptible))}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, p.rt)
	if err == nil {
		p.code, err = p.rt.CompileModule(ctx, wasm)
	}
	if err == nil {
		err = p.Renew(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("plain wazero: %w", err), p.rt.Close(ctx))
	}
	return p, nil
}

// Renew replaces the instance.
func (p *Plain) Renew(ctx context.Context) (err error) {
	if p.mod != nil {
		if err := p.mod.Close(ctx); err != nil {
			return err
		}
	}
	p.mod, err = p.rt.InstantiateModule(ctx, p.code, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return err
	}
	arena, err := p.mod.ExportedFunction(abi.ExportAlloc).Call(ctx, 65536, 4096)
	if err != nil {
		return err
	}
	p.run, p.arena = p.mod.ExportedFunction(abi.ExportRun), arena[0]
	return nil
}

// Call calls function 0.
func (p *Plain) Call(ctx context.Context) error {
	p.stack[0] = p.arena
	return p.run.CallWithStack(ctx, p.stack[:])
}

// Close frees everything.
func (p *Plain) Close(ctx context.Context) error { return p.rt.Close(ctx) }
