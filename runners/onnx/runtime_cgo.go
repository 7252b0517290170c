//go:build cgo && (linux || darwin)

package onnx

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra
#cgo linux LDFLAGS: -ldl -lpthread
#include <stdlib.h>
#include "shim.h"

#cgo noescape tdm_open
#cgo noescape tdm_log_next
#cgo nocallback tdm_log_next
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

// process holds the one Runtime of the process. ONNX Runtime itself is a singleton: its environment takes its threads and
// its log from whoever makes it first, and cannot be taken down while any of its threads may still run.
var process struct {
	mu      sync.Mutex // mu guards the following
	runtime *Runtime
}

// Runtime is ONNX Runtime, loaded. Its methods may be called at the same time.
type Runtime struct {
	config  Config
	version string
	env     *C.tdm_env

	logMu sync.Mutex // logMu keeps the lines in order
}

// Open loads the library and makes its environment, once a process: later calls return the same Runtime, whatever they ask
// for, as long as they name the same library. It stays for the life of the process. Errors wrap runners.ErrUnavailable and
// say how to get the library.
func Open(ctx context.Context, config Config) (*Runtime, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open ONNX Runtime: %w", err)
	}
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	process.mu.Lock()
	defer process.mu.Unlock()
	if r := process.runtime; r != nil {
		if r.config.Library != config.Library {
			return nil, fmt.Errorf("%w: this process already uses %s, not %s", runners.ErrUnavailable, r.config.Library, config.Library)
		}
		return r, nil
	}
	r, err := open(config)
	if err != nil {
		return nil, err
	}
	process.runtime = r
	r.drainLog(ctx)
	return r, nil
}

func open(config Config) (*Runtime, error) {
	library := C.CString(config.Library)
	defer C.free(unsafe.Pointer(library))
	var env *C.tdm_env
	var fault C.tdm_error
	// The shim goes first, so that the environment has its pool and its log; the binding then joins the same environment.
	switch code := C.tdm_open(library, C.int(config.Threads), &env, &fault); code {
	case 0:
	case C.TDM_NO_LIBRARY, C.TDM_OLD_LIBRARY:
		return nil, fmt.Errorf("%w: %s: %s", runners.ErrUnavailable, C.GoString(&fault.text[0]), ortlib.HowTo)
	default:
		return nil, fmt.Errorf("%w: %s", runners.ErrUnavailable, C.GoString(&fault.text[0]))
	}
	ort.SetSharedLibraryPath(config.Library)
	if err := ort.InitializeEnvironment(); err != nil {
		return nil, fmt.Errorf("%w: %w", runners.ErrUnavailable, err)
	}
	return &Runtime{config: config, version: C.GoString(C.tdm_version(env)), env: env}, nil
}

// Version returns the version of the library that is loaded, such as "1.30.0".
func (r *Runtime) Version() string { return r.version }

// Threads returns how many threads the shared pool puts on one operator, the caller's own counted.
func (r *Runtime) Threads() int { return r.config.Threads }

// Trim gives the memory that unloaded models left behind back to the system, where the C library can.
func (r *Runtime) Trim() { C.tdm_trim(r.env) }

// drainLog passes on what ONNX Runtime logged since the last time.
func (r *Runtime) drainLog(ctx context.Context) {
	if C.tdm_log_waiting(r.env) == 0 {
		return
	}
	r.logMu.Lock()
	defer r.logMu.Unlock()
	var line C.tdm_line
	for bool(C.tdm_log_next(r.env, &line)) {
		r.config.Logger.LogAttrs(ctx, logLevel(int(line.severity)), "onnx runtime", slog.String("text", C.GoString(&line.text[0])),
			slog.String("place", C.GoString(&line.place[0])), slog.Uint64("lines_lost", uint64(line.lost)))
	}
}

// logLevel maps ONNX Runtime's severities, 0 verbose to 4 fatal.
func logLevel(severity int) slog.Level {
	switch severity {
	case 0, 1:
		return slog.LevelDebug
	case 2:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// fault makes an error of what the shim reported.
func fault(f *C.tdm_error) error {
	return errors.New(shorten(C.GoString(&f.text[0])))
}
