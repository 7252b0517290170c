package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// Compiler turns a module that was linted and metered into machine code.
type Compiler interface {
	// Compile compiles wasm and leaves the runtime's cache file in dir, which exists, is empty and belongs to this call, as
	// that of the module's shell (see wasmbin.Shell), which is what the runtime is given after that.
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
	file, err := compileFile(ctx, rt, wasm, dir, "")
	if err != nil {
		return err
	}
	shell, err := wasmbin.Shell(wasm)
	if err != nil {
		return err
	}
	name, err := compileFile(ctx, rt, shell, dir, file)
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(file, name), context.Cause(ctx))
}

// compileFile compiles a module into the only file below dir but for old, and returns its path.
func compileFile(ctx context.Context, rt wazero.Runtime, bin []byte, dir, old string) (string, error) {
	if _, err := rt.CompileModule(ctx, bin); err != nil {
		return "", fmt.Errorf("%w: %v", ErrCompile, err) //nolint:errorlint // the runtime's errors are text for people
	}
	return newFile(dir, old)
}

// newFile returns the only file below dir but for old.
func newFile(dir, old string) (path string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && p != old {
			if path != "" {
				return errors.New("the compiler wrote more than one file")
			}
			path = p
		}
		return err
	})
	if err == nil && path == "" {
		err = errors.New("the compiler wrote no file")
	}
	return path, err
}

// compile makes the code of a metered module, when the turn of its job comes, and loads it. It ends the job.
func (p *program) compile(ctx context.Context, job *compileJob, a *admitted) (wazero.CompiledModule, error) {
	h, asked := p.host, time.Now()
	defer h.compiles.end(job)
	err := h.compiles.begin(ctx, job)
	p.waited = time.Since(asked)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.UploadTimeout)
	defer cancel()
	if h.cache == nil {
		return compileHere(ctx, h.rt, a.bin)
	}
	if err := p.makeCode(ctx, a); err != nil {
		return nil, err
	}
	code, err := h.kept(ctx, a)
	if code == nil && err == nil {
		err = errors.New("compile: the runtime does not take the code that was made for it")
	}
	return code, err
}

// makeCode puts the code of a metered module into the cache. The cache is not locked while the module compiles.
func (p *program) makeCode(ctx context.Context, a *admitted) error {
	h := p.host
	tmp, err := h.cache.workspace()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // emptied at the next start at the latest
	if err := h.cfg.Compiler.Compile(ctx, a.bin, tmp); err != nil {
		return err
	}
	h.codes.Lock()
	defer h.codes.Unlock()
	return errors.Join(h.cache.replace(a.Key, tmp), h.cache.note(a.Key, p.spent()))
}

// spent returns for how long p has been loading, but for waits for others.
func (p *program) spent() time.Duration { return max(time.Since(p.born)-p.waited, 1) }

// kept loads a module's code out of the cache. It returns nil when there is none that the runtime takes, or nobody knows how long it took:
// what the cache holds may be for another processor or another runtime. The runtime then compiles by itself, but all that it has is the
// shell: its result is thrown away, and the entry removed.
func (h *Host) kept(ctx context.Context, a *admitted) (wazero.CompiledModule, error) {
	if h.cache == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	h.codes.Lock()
	defer h.codes.Unlock()
	if !h.cache.whole(a.Key) || h.cache.took(a.Key) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	before, err := h.cache.runtimeFiles()
	if err != nil {
		return nil, err
	}
	m, refused := compileHere(ctx, h.rt, a.Shell)
	after, err := h.cache.runtimeFiles()
	if refused == nil && err == nil && slices.Equal(before, after) { // it wrote nothing, so that it had all that it needs
		return m, nil
	}
	if m != nil {
		err = errors.Join(err, m.Close(ctx))
	}
	return nil, errors.Join(err, h.cache.drop(a.Key))
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
