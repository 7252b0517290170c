package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// hostFunc is one function that guests may import.
type hostFunc struct {
	module, name    string
	params, results string // a letter for each value: i for i32, I for i64, D for f64
	run             func(hostCall)
}

// hostCall is one call of a host function. Parameters stand in st; the result, if any, goes to st[0].
type hostCall struct {
	ctx context.Context //nolint:containedctx // an argument bundle that lives for one call
	in  *instance
	mem api.Memory
	st  []uint64
}

func (c hostCall) u32(i int) uint32 { return uint32(c.st[i]) }

// ret sets the result.
func (c hostCall) ret(v int32) { c.st[0] = uint64(uint32(v)) }

// bytes returns n bytes of guest memory at addr, and charges for them.
func (c hostCall) bytes(addr, n uint32) ([]byte, bool) {
	b, ok := c.mem.Read(addr, n)
	if ok {
		c.in.charge(uint64(n) / bytesPerUnit)
	}
	return b, ok
}

// text returns guest memory as a string.
func (c hostCall) text(addr, n uint32) (string, bool) {
	b, ok := c.bytes(addr, n)
	return string(b), ok
}

// hostFuncs lists every function that a guest may import.
func hostFuncs() []hostFunc {
	const m = abi.ImportModule
	fns := []hostFunc{
		{m, "log", "iii", "", hostLog},
		{m, "config_get", "iiii", "i", hostConfigGet},
		{m, "metric", "iiiD", "i", hostMetric},
		{m, "now_ns", "", "I", hostNow},
		{m, "record", "iiii", "i", hostRecord},
		{m, "model_open", "ii", "i", hostModelOpen},
		{m, "model_run", "iiiii", "i", hostModelRun},
		{m, "model_start", "iii", "i", hostModelStart},
		{m, "model_wait", "iiii", "i", hostModelWait},
		{m, "wait_any", "iii", "i", hostWaitAny},
		{m, "val_info", "ii", "i", hostValInfo},
		{m, "val_read", "iIii", "i", hostValRead},
		{m, "val_make", "i", "i", hostValMake},
		{m, "val_drop", "i", "i", hostValDrop},
	}
	return append(fns, wasiFuncs()...)
}

func valueTypes(letters string) (rt []api.ValueType, bin []wasmbin.ValueType) {
	for _, l := range letters {
		switch l {
		case 'I':
			rt, bin = append(rt, api.ValueTypeI64), append(bin, wasmbin.I64)
		case 'D':
			rt, bin = append(rt, api.ValueTypeF64), append(bin, wasmbin.F64)
		default:
			rt, bin = append(rt, api.ValueTypeI32), append(bin, wasmbin.I32)
		}
	}
	return rt, bin
}

// allowedImports lists what the linter lets pass.
func allowedImports(fns []hostFunc) []wasmbin.Import {
	out := make([]wasmbin.Import, len(fns))
	for i, f := range fns {
		_, params := valueTypes(f.params)
		_, results := valueTypes(f.results)
		out[i] = wasmbin.Import{Module: f.module, Name: f.name, Params: params, Results: results}
	}
	return out
}

// register adds the host's modules to a runtime.
func register(ctx context.Context, rt wazero.Runtime, fns []hostFunc) error {
	builders := map[string]wazero.HostModuleBuilder{}
	add := func(module, name string, params, results []api.ValueType, fn api.GoModuleFunc) {
		b, ok := builders[module]
		if !ok {
			b = rt.NewHostModuleBuilder(module)
			builders[module] = b
		}
		b.NewFunctionBuilder().WithGoModuleFunction(fn, params, results).Export(name)
	}
	add(yieldModule, yieldName, nil, nil, yield)
	for _, f := range fns {
		params, _ := valueTypes(f.params)
		results, _ := valueTypes(f.results)
		add(f.module, f.name, params, results, f.call)
	}
	var errs []error
	for name, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			errs = append(errs, fmt.Errorf("register host functions of %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// call is the entry of every host function.
func (f *hostFunc) call(ctx context.Context, mod api.Module, st []uint64) {
	in := instanceOf(ctx)
	in.charge(hostCallFuel)
	f.run(hostCall{ctx: ctx, in: in, mem: mod.Memory(), st: st})
}
