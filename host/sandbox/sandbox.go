// Package sandbox runs WebAssembly plugins that strangers wrote. It is the only importer of wazero.
//
// A [Host] loads modules into [Plugin]s: it lints, meters and compiles them and asks them for their description. A
// [Plugin.Call] runs one function on one instance with a memory cap, a fuel budget and a deadline, checks everything
// that comes back, and leaves no byte of the call behind. The contract with plugins is docs/plugin-abi.md.
//
// Goroutines: a call runs on its caller's goroutine. The host starts goroutines only for model_start (each ends before
// its call returns) and a timer that gives idle instances back; [Host.Close] waits for all of them.
//
// Locks: Host.mu before Plugin.mu before pools.mu; none is held while a guest runs, compiles or while a service is called.
package sandbox

import (
	"context"
	"errors"
)

// Host owns a WebAssembly runtime and every plugin in it. It may be used by many goroutines.
type Host struct {
	cfg Config
}

// New returns a host. ctx bounds the start only. The caller must Close it.
func New(_ context.Context, cfg Config) (*Host, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Host{cfg: cfg}, nil
}

// Close refuses new calls, stops running guests, waits for them until ctx is done, and frees everything. When ctx ends
// first it returns ctx's error and what still runs is freed when it ends. Further calls return nil.
func (h *Host) Close(_ context.Context) error { return nil }

// Load admits a module: lint, metering, compilation, description. The same bytes loaded twice are compiled once, but
// every Plugin has instances of its own: give each tenant its own Plugin. The bytes are not kept. The caller closes the
// Plugin.
//
// # Errors
//
//   - [*RejectError] lists every reason why the module is refused; nothing that the caller repeats will change it.
//   - [ErrClosed] after Close.
//   - ctx's error, and errors of the machine (no memory, no disk), which are not the module's fault.
func (h *Host) Load(_ context.Context, _ []byte) (*Plugin, error) {
	return nil, errors.New("sandbox: load is not finished")
}
