// Package sandbox runs WebAssembly plugins that strangers wrote. It is the only importer of wazero.
//
// A [Host] loads modules into [Plugin]s: it lints, meters and compiles them and asks them for their description. A
// [Plugin.Call] runs one function on one instance with a memory cap, a fuel budget and a deadline, checks everything
// that comes back, and leaves no byte of the call behind. The contract with plugins is docs/plugin-abi.md.
//
// Goroutines: a call runs on its caller's goroutine. The host starts goroutines only for model_start (each ends before
// its call returns), to free what a guest left behind when that is much, for a timer that gives idle instances back, and to compile a
// module, for all that wait for it; [Host.Close] ends compilations, and waits for them, for the guests and for what they leave.
//
// Locks: lane.build before all others; Plugin.mu, Host.mu, Host.codes, compiles.mu, pools.mu, turns.mu and callStacks.mu are never held
// together. None but lane.build is held while a guest runs, while a module compiles or while a service is called.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// Host owns a WebAssembly runtime and every plugin in it. It may be used by many goroutines.
type Host struct {
	cfg      Config
	rt       wazero.Runtime
	allowed  []wasmbin.Import
	resetter *resetter
	cache    *codeCache // nil without a folder and a compiler
	files    wazero.CompilationCache
	pools    *pools
	cancels  cancels
	closing  atomic.Bool
	base     context.Context //nolint:containedctx // only for freeing, which nothing cancels; wazero wants one
	finish   sync.Once
	states   sync.Pool // of *callState
	memory   memoryBudget
	turns    *turns
	watch    *watch
	stacks   *callStacks

	compiles *compiles

	codes sync.Mutex // guards cache; held while the runtime loads code out of it, which is not safe for equal modules at once

	mu       sync.Mutex // guards the following
	programs map[[32]byte]*program
}

// New returns a host. ctx bounds the start only. The caller must Close it.
func New(ctx context.Context, cfg Config) (*Host, error) { return newHost(ctx, cfg, resetScan) }

func newHost(ctx context.Context, cfg Config, best resetMethod) (*Host, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, base: context.WithoutCancel(ctx), programs: map[[32]byte]*program{}, resetter: newResetter(best)}
	h.memory.limit = uint64(cfg.GuestBytes)
	h.pools = newPools(&cfg, h.shut)
	h.compiles = newCompiles(cfg.compilesAtOnce())
	h.turns, h.watch, h.stacks = newTurns(cfg.Cores, cfg.Background), newWatch(), newCallStacks(cfg.Cores)
	fns := hostFuncs()
	h.allowed = allowedImports(fns)
	rc, err := h.openCache()
	if err != nil {
		h.resetter.close()
		return nil, err
	}
	h.rt = wazero.NewRuntimeWithConfig(ctx, rc)
	if err := register(ctx, h.rt, fns); err != nil {
		return nil, errors.Join(err, h.free())
	}
	return h, nil
}

// openCache opens the cache of compiled code, if there is to be one, and returns the configuration of the runtime.
func (h *Host) openCache() (wazero.RuntimeConfig, error) {
	if h.cfg.CacheDir == "" && h.cfg.Compiler == nil {
		return runtimeConfig(), nil
	}
	cache, err := openCache(h.cfg.CacheDir, h.cfg.CacheBytes, h.cfg.Logger)
	if err != nil {
		return nil, err
	}
	h.cache = cache
	if h.files, err = wazero.NewCompilationCacheWithDir(cache.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open cache: %w", err), cache.close())
	}
	return runtimeConfig().WithCompilationCache(h.files), nil
}

// features are what modules may use; the linter refuses the same. Reference types, threads, exceptions and tail calls each
// open a hole in the limits.
func features() api.CoreFeatures {
	return api.CoreFeatureBulkMemoryOperations | api.CoreFeatureMultiValue | api.CoreFeatureMutableGlobal |
		api.CoreFeatureNonTrappingFloatToIntConversion | api.CoreFeatureSignExtensionOps | api.CoreFeatureSIMD
}

func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(features()).WithDebugInfoEnabled(false)
}

// Close refuses new calls, stops running guests, waits for them until ctx is done, and frees everything. When ctx ends
// first it returns ctx's error and what still runs is freed when it ends. Further calls wait likewise.
func (h *Host) Close(ctx context.Context) error {
	h.closing.Store(true)
	h.pools.close()
	h.cancels.close()
	select {
	case <-h.pools.drained:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return h.free()
}

// free frees the runtime, once. No guest may run.
func (h *Host) free() (err error) {
	h.finish.Do(func() {
		h.watch.close()
		err = h.rt.Close(h.base)
		h.stacks.close()
		h.resetter.close()
		if h.cache != nil {
			err = errors.Join(err, h.files.Close(h.base), h.cache.close())
		}
	})
	return err
}

// newStartState returns the state for the start of an instance, which the account pays for; its log and what it uses go to
// the services.
func (h *Host) newStartState(of *Services, with []byte, payer *account) *callState {
	s := &callState{host: h, services: Services{Log: of.Log, Spend: of.Spend}, config: with, maxOutput: h.cfg.MaxOutputBytes}
	s.turn.account = payer
	s.log.maxLines, s.log.maxBytes = h.cfg.MaxLogLines, h.cfg.MaxLogBytes
	s.models.starting = true
	return s
}
