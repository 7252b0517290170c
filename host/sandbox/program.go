package sandbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// program is a compiled module. Plugins that were loaded from the same bytes share it.
type program struct {
	host   *Host
	digest [32]byte
	born   time.Time // when its load began
	rt     wazero.Runtime

	code    wazero.CompiledModule
	bare    bool           // code is without its data, and instances can be reset
	data    []wasmbin.Data // what instances that start from the beginning begin with, when bare
	globals []wasmbin.Global
	pace    pace

	ready chan struct{} // closed when it is loaded
	err   error         // why it was not; valid after ready
	took  time.Duration // how long a load takes that finds nothing of it kept, without waits for others; valid after ready

	waited time.Duration // for others that compile; of whoever loads it

	refs    int                     // guarded by Host.mu, as are the following
	callers []string                // the tenants of those who wait for it to be loaded
	job     *compileJob             // of its compilation; nil before that
	cancel  context.CancelCauseFunc // ends its compilation; nil before that
}

// retain adds a reference to a program of which the caller has one.
func (p *program) retain() *program {
	p.host.mu.Lock()
	p.refs++
	p.host.mu.Unlock()
	return p
}

// release drops a reference; the last one frees the code.
func (p *program) release(ctx context.Context) error {
	h := p.host
	h.mu.Lock()
	p.refs--
	last := p.refs == 0
	if last && h.programs[p.digest] == p {
		delete(h.programs, p.digest)
	}
	h.mu.Unlock()
	if !last {
		return nil
	}
	return p.free(ctx)
}

func (p *program) free(ctx context.Context) error {
	if p.code == nil {
		return nil
	}
	return p.code.Close(ctx)
}

// admit lints and meters a module.
func (h *Host) admit(wasm []byte) (*admitted, error) {
	mod, err := wasmbin.Parse(wasm, *h.cfg.Limits, h.allowed)
	if err != nil {
		return nil, rejectWasm(err)
	}
	if err := checkExports(mod, h.cfg.MemoryLimitBytes); err != nil {
		return nil, err
	}
	rw, err := mod.Rewrite(wasmbin.Options{
		MaxPages: 1 << 16, YieldModule: yieldModule, YieldName: yieldName,
		FuelGlobal: fuelGlobal, StopGlobal: stopGlobal, GlobalPrefix: globalPrefix,
		StartExport: startExport, DispatchTables: 512,
	})
	if err != nil {
		return nil, rejectWasm(err)
	}
	a := &admitted{bin: rw.Bin, Globals: rw.Globals}
	if snapshotsWork && !mod.MutatesTables() && !mod.DropsSegments() {
		var data []wasmbin.Data
		if a.bin, data, err = rw.Bare(); err != nil {
			return nil, rejectWasm(err)
		}
		a.Bare, a.Data = true, joinData(data)
	}
	a.Key = keyOf(a.bin)
	a.Shell, err = wasmbin.Shell(a.bin)
	return a, err
}

// leastMemory returns the bytes of memory with which every instance begins.
func (p *program) leastMemory() int64 {
	return int64(p.code.ExportedMemories()[abi.ExportMemory].Min()) << 16
}

// maxGap is how many zeros may be kept with data to join what stands around them. Go's linker leaves out every run of zeros
// that is longer than 8 bytes or so: a small plugin has 20,000 segments.
const maxGap = 64

// joinData copies data out of the module's bytes, which are the caller's, and joins neighbours. Memory is zero before.
func joinData(data []wasmbin.Data) []wasmbin.Data {
	var out []wasmbin.Data
	end := uint64(0) // of the last one
	for _, d := range data {
		from := uint64(d.Offset)
		if len(out) == 0 || from < end || from > end+maxGap {
			out = append(out, wasmbin.Data{Offset: d.Offset})
			end = from
		}
		last := &out[len(out)-1]
		last.Bytes = append(append(last.Bytes, make([]byte, from-end)...), d.Bytes...)
		end = from + uint64(len(d.Bytes))
	}
	return out
}

// rejectWasm turns what the linter found into a RejectError.
func rejectWasm(err error) error {
	reasons := wasmbin.Reasons(err)
	if len(reasons) == 0 {
		return fmt.Errorf("check the module: %w", err)
	}
	out := &RejectError{}
	for _, r := range reasons {
		out.Reasons = append(out.Reasons, Reason{Code: string(r.Code), Text: r.Error()})
	}
	return out
}

// checkExports reports every export that is missing or has the wrong type.
func checkExports(mod *wasmbin.Module, limit int64) error {
	const i32, i64 = wasmbin.I32, wasmbin.I64
	e := &RejectError{}
	fault := func(format string, args ...any) {
		e.Reasons = append(e.Reasons, Reason{Code: "export", Text: fmt.Sprintf(format, args...)})
	}
	exported := false
	for _, x := range mod.Exports() {
		exported = exported || x.Kind == wasmbin.KindMemory && x.Name == abi.ExportMemory
	}
	if !exported {
		fault("the module does not export its memory as %q", abi.ExportMemory)
	}
	if pages, _, _ := mod.Memory(); int64(pages)<<16 > limit {
		e.Reasons = append(e.Reasons, Reason{Code: string(wasmbin.CodeLimit), Text: fmt.Sprintf("the module starts with %d pages of memory, the limit is %d", pages, limit>>16)})
	}
	for _, want := range []struct {
		name     string
		required bool
		typ      wasmbin.FuncType
	}{
		{abi.ExportDescribe, true, wasmbin.FuncType{Results: []wasmbin.ValueType{i64}}},
		{abi.ExportAlloc, true, wasmbin.FuncType{Params: []wasmbin.ValueType{i32, i32}, Results: []wasmbin.ValueType{i32}}},
		{abi.ExportRun, true, wasmbin.FuncType{Params: []wasmbin.ValueType{i32}, Results: []wasmbin.ValueType{i32}}},
		{abi.ExportInit, false, wasmbin.FuncType{Params: []wasmbin.ValueType{i32, i32}, Results: []wasmbin.ValueType{i32}}},
		{abi.ExportInitialize, false, wasmbin.FuncType{}},
	} {
		got, ok := mod.ExportedFunc(want.name)
		switch {
		case !ok && want.required:
			fault("the module does not export the function %q", want.name)
		case ok && !(slices.Equal(got.Params, want.typ.Params) && slices.Equal(got.Results, want.typ.Results)):
			fault("the export %q has type %v -> %v, want %v -> %v", want.name, got.Params, got.Results, want.typ.Params, want.typ.Results)
		}
	}
	if len(e.Reasons) > 0 {
		return e
	}
	return nil
}
