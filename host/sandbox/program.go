package sandbox

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	born   time.Time // where its guests' clocks start
	rt     wazero.Runtime

	code    wazero.CompiledModule
	bare    bool           // code is without its data, and instances can be reset
	data    []wasmbin.Data // what instances that start from the beginning begin with, when bare
	globals []wasmbin.Global
	desc    abi.Description
	funcs   map[string]*function
	heads   map[string]*head
	pace    pace

	ready chan struct{} // closed when it is loaded
	err   error         // why it was not; valid after ready
	refs  int           // guarded by Host.mu
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

// load does everything that makes a program of a module. What was admitted before is taken from the cache. The account
// pays for what the guest does meanwhile.
func (p *program) load(ctx context.Context, payer *account, wasm []byte) error {
	h := p.host
	ctx, cancel := context.WithTimeout(ctx, h.cfg.UploadTimeout)
	defer cancel()
	a := h.recall(p.digest)
	known := a != nil
	var err error
	if known {
		p.code, err = h.compile(ctx, a)
		known = !errors.Is(err, errNoCode)
	}
	if !known {
		if a, err = h.admit(wasm); err != nil {
			return err
		}
		p.code, err = h.compile(ctx, a)
	}
	if err != nil {
		return err
	}
	p.bare, p.data, p.globals = a.Bare, a.Data, a.Globals
	if !known {
		if a.Description, err = p.describe(ctx, payer); err != nil {
			return err
		}
	}
	if err := p.declare(a.Description); err != nil {
		return err
	}
	if !known {
		h.remember(p.digest, a)
	}
	return nil
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

// declare takes over what the module says about itself.
func (p *program) declare(doc []byte) error {
	desc, funcs, err := parseDescription(doc)
	if err != nil {
		return err
	}
	p.desc, p.funcs, p.heads = desc, map[string]*function{}, map[string]*head{}
	for _, f := range funcs {
		p.funcs[f.name] = f
		p.heads[f.name] = newHead(f)
	}
	return nil
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

// describe asks the module for its description.
func (p *program) describe(ctx context.Context, payer *account) ([]byte, error) {
	h := p.host
	mem, err := reserve(uint64(h.cfg.MemoryLimitBytes), purse{shared: &h.memory}) // nobody's plugin yet
	if err != nil {
		return nil, err
	}
	limits := startLimits{step: h.cfg.DescribeTimeout}
	state := h.newStartState(&Services{}, nil, payer)
	limits.extend(state)
	in, err := newInstance(ctx, p, mem, state)
	if err != nil {
		return nil, rejectGuest("start", "start section", err)
	}
	doc, err := in.describe(ctx, limits)
	return doc, errors.Join(err, in.close(ctx))
}

// describe starts the instance and returns its description.
func (in *instance) describe(ctx context.Context, limits startLimits) ([]byte, error) {
	if err := in.initialize(ctx, limits); err != nil {
		return nil, rejectGuest("start", "start", err)
	}
	limits.extend(in.state)
	at, err := in.enter(ctx, in.mod.ExportedFunction(abi.ExportDescribe))
	if err != nil {
		return nil, rejectGuest("describe", abi.ExportDescribe, err)
	}
	ptr, n := uint32(at>>32), uint32(at&math.MaxUint32)
	if n > maxDescriptionBytes {
		return nil, reject("describe", "%s: a description of %d bytes, want at most %d", abi.ExportDescribe, n, maxDescriptionBytes)
	}
	doc, ok := in.mod.Memory().Read(ptr, n)
	if !ok {
		return nil, reject("describe", "%s: %d bytes at 0x%x lie outside memory", abi.ExportDescribe, n, ptr)
	}
	return append([]byte(nil), doc...), nil
}

// rejectGuest turns a guest's fault during upload into a RejectError. Faults that are not the guest's stay as they are.
func rejectGuest(code, step string, err error) error {
	var ce *CallError
	if !errors.As(err, &ce) {
		return err
	}
	switch {
	case ce.Kind == KindCanceled || ce.Kind == KindDeadline && ce.Cause != nil:
		return ce.Cause
	case ce.Kind == KindClosed:
		return ErrClosed
	case ce.Kind == KindHost:
		return ce
	case ce.Kind == KindStart:
		return reject(code, "%s", ce.Text)
	default:
		return reject(code, "%s: %s", step, ce.Text)
	}
}
