// Package onnx runs ONNX models with ONNX Runtime, in this process, on the CPU or where [Providers] say. It is the only importer of
// github.com/yalue/onnxruntime_go and of cgo; what the binding has no way for, or does in a way that is not safe for many
// tenants, is in a small shim of C beside it (docs/adr/003-onnx-shim.md).
//
// A file is judged by [Check] before the native library sees it. Inputs are tensors over the caller's memory, which is pinned
// while the run lasts and never copied, strings apart; outputs are written into the caller's memory when it gives some, and
// handed out as ONNX Runtime allocated them, to be released, when it does not. Sequences and maps, as exports of scikit-learn
// and XGBoost give, come out as JSON.
//
// A run ends soon after its context: ONNX Runtime looks for that between two operators and between two turns of a Loop, so a
// run stops when the operator it is in ends. A single operator that takes longer than 50 ms is the one case in which Run
// returns later than runners.Runner promises; nothing but a process of its own can stop that.
//
// The package starts no goroutines but the one that context.AfterFunc needs when a context ends during a run. ONNX Runtime's
// threads are those of one pool for the process ([Config]) plus those of models that ask for their own ([Options]). Its log
// goes to slog.
//
// Without cgo the package builds, checks models, and says at [Open] what it lacks.
package onnx

import (
	"fmt"
	"log/slog"
	"runtime"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

// Config is how the process uses ONNX Runtime.
type Config struct {
	// Library is the path of libonnxruntime 1.24 or newer; [ortlib.Find] finds it. Required.
	Library string
	// Threads is how many threads work on one operator for the models that share the process's pool, the caller's own
	// counted: the pool starts Threads-1. Default GOMAXPROCS, which follows the cgroup's quota.
	Threads int
	// Logger takes ONNX Runtime's warnings and errors. Default slog.Default.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate reports every fault of c at once. Errors wrap runners.ErrUnavailable.
func (c Config) Validate() error {
	if c.Library == "" {
		return fmt.Errorf("%w: no path of ONNX Runtime's library: %s", runners.ErrUnavailable, ortlib.HowTo)
	}
	return nil
}

// Options are how one model is loaded. The zero value is a good choice. They can be kept and sent as JSON.
type Options struct {
	// Threads is how many threads work on one operator of this model, the caller's own counted: 0 shares the process's pool
	// with other models, 1 uses no other thread than the caller's, more starts Threads-1 that this model keeps to itself.
	Threads int
	// Spin lets the model's own threads wait actively: quicker between operators, and the cores less for everybody else.
	Spin bool
	// Providers say where the model is to run. Default: on the CPU.
	Providers Providers
	// Device is the device, counted from 0, of providers that name none.
	Device int
	// Limits bound the file.
	Limits Limits
}

// LibraryVersion is the ONNX Runtime that the project is tested with; [Runtime.Version] says which one is loaded.
const LibraryVersion = ortlib.Version
