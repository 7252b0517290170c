package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// instance is one instantiated module. Whoever holds it uses it alone.
type instance struct {
	prog    *program
	mod     api.Module
	mem     *linearMemory
	run     api.Function
	fuel    api.MutableGlobal
	watched watched
	globals []api.MutableGlobal // in the order of program.globals
	state   *callState
	stack   [2]uint64

	arena, arenaLen uint32
	dirty           uint64 // bytes at the start of the arena that may not be zero
	models          []string
	skew            time.Duration // of the clock, when the snapshot was taken

	tmpl   *template // what it is a copy of; nil for one that was started from the beginning
	broken bool      // may not be used for another call

	lane       *lane
	idleAt     time.Time
	prev, next *instance // in the list of idle instances
}

// newInstance instantiates prog over mem, which it takes over also when it fails. No code of the guest runs yet: the start
// function is an export.
func newInstance(ctx context.Context, prog *program, mem *linearMemory, state *callState) (*instance, error) {
	in := &instance{prog: prog, mem: mem, state: state}
	alloc := experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return mem })
	ctx = experimental.WithMemoryAllocator(ctx, alloc)
	mod, err := instantiate(ctx, prog.rt, prog.code)
	if err != nil {
		mem.Free()
		return nil, in.guestError(err)
	}
	in.mod = mod
	prog.retain()
	in.run = mod.ExportedFunction(abi.ExportRun)
	in.meter()
	for _, g := range prog.globals {
		mg, ok := mod.ExportedGlobal(g.Name).(api.MutableGlobal)
		if !ok {
			return nil, errors.Join(fmt.Errorf("global %s is not exported", g.Name), in.close(ctx))
		}
		in.globals = append(in.globals, mg)
	}
	if in.fuel == nil {
		return nil, errors.Join(errors.New("a global of metering is not exported"), in.close(ctx))
	}
	return in, nil
}

// instantiate turns a panic of the runtime into an error.
func instantiate(ctx context.Context, rt wazero.Runtime, code wazero.CompiledModule) (mod api.Module, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("instantiate: the runtime panicked: %v", p)
		}
	}()
	return rt.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(noRandom{}))
}

// noRandom is the runtime's source of randomness, which nothing uses: making the default one takes longer than
// everything else that an instance needs.
type noRandom struct{}

// Read implements io.Reader.
func (noRandom) Read([]byte) (int, error) { return 0, io.EOF }

// close frees the instance. The guest must not run.
func (in *instance) close(ctx context.Context) error {
	in.prog.host.watch.remove(&in.watched)
	err := in.mod.Close(ctx)
	if in.tmpl != nil {
		in.tmpl.release()
		in.tmpl = nil
	}
	return errors.Join(err, in.prog.release(ctx))
}

// keepMemory lets the memory of an instance that is about to be closed serve the next one.
func (in *instance) keepMemory() {
	if t := in.tmpl; t != nil {
		in.mem.kept = t.keep
	}
}

// memory returns the guest's whole memory. It is valid until the guest runs again.
func (in *instance) memory() []byte {
	mem := in.mod.Memory()
	b, _ := mem.Read(0, mem.Size())
	return b
}

// enter calls one of the guest's functions with the state that was set, when a core is free for it. On success it returns
// the first result.
func (in *instance) enter(ctx context.Context, fn api.Function, args ...uint64) (uint64, error) {
	if err := in.state.hold(ctx); err != nil {
		return 0, err
	}
	defer in.state.letGo()
	return in.invoke(ctx, fn, args...)
}

// invoke is enter for a call that has its turn, and keeps it unless the guest lost it.
func (in *instance) invoke(ctx context.Context, fn api.Function, args ...uint64) (uint64, error) {
	copy(in.stack[:], args)
	in.startSlice(in.state.turn.since)
	err := in.prog.host.stacks.call(context.WithValue(ctx, instanceKey{}, in), fn, in.stack[:])
	in.endSlice()
	if err != nil {
		in.broken = true
		return 0, in.guestError(err)
	}
	return in.stack[0], nil
}

// guestError says why a guest ended, as a CallError without its place.
func (in *instance) guestError(err error) error {
	if f := in.state.fault; f != nil {
		return f
	}
	if ce, ok := errors.AsType[*CallError](err); ok {
		return ce
	}
	if exit, ok := errors.AsType[*sys.ExitError](err); ok {
		text := "the plugin exited with code " + strconv.FormatUint(uint64(exit.ExitCode()), 10)
		return &CallError{Kind: KindTrap, Text: in.withStderr(text), Cause: err}
	}
	if _, ok := errors.AsType[runtime.Error](err); ok {
		return &CallError{Kind: KindHost, Text: "a host function broke", Cause: err}
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if text = strings.TrimPrefix(text, "wasm error: "); text == stackOverflow {
		text = stackOverflowText
	}
	text = in.withStderr(text)
	if lack := in.mem.lack; lack != nil {
		return lack.callError()
	}
	if in.mem.refused {
		return &CallError{Kind: KindMemory, Text: "out of memory: " + text, Cause: err}
	}
	return &CallError{Kind: KindTrap, Text: text, Cause: err}
}

// withStderr adds what the guest said before it gave up.
func (in *instance) withStderr(text string) string {
	if said := in.state.log.stderr; said != "" {
		return text + " (" + said + ")"
	}
	return text
}

// reset puts the instance back to its snapshot, or, when the plugin keeps its state, only looks after the arena. It
// returns how many pages outside of the arena were written, -1 when that is not known; not ok is an instance that must be
// replaced.
func (in *instance) reset(r *resetter, stateful bool) (pages int, ok bool) {
	if in.broken || in.tmpl == nil {
		return -1, false
	}
	if stateful {
		dirty, err := r.arenaOnly(in.mem)
		in.dirty = dirty
		return -1, err == nil
	}
	if in.mem.grew {
		return -1, false
	}
	in.mem.refused, in.mem.lack = false, nil
	dirty, pages, err := r.reset(in.mem)
	if err != nil {
		return -1, false
	}
	in.dirty = dirty
	for i, g := range in.globals {
		g.Set(in.tmpl.globals[i])
	}
	return pages, true
}
