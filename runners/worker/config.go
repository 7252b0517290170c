package worker

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

// Config is how workers are started and looked after. Command and Library are required.
type Config struct {
	// Command is the program and its first arguments that becomes a worker: it must call [Main].
	Command []string
	// Library is the path of libonnxruntime.
	Library string
	// Threads is how many threads work on one operator for models that share a worker's pool. Default: as many as it may use.
	Threads int
	// Memory bounds the private memory of a worker, in bytes. Default: half of the machine's, which the caller knows better;
	// here 4 GiB.
	Memory int64
	// Shared bounds the memory that a worker shares with its host, for inputs and outputs. Default 4 GiB; it costs what is used.
	Shared int64
	// Recycle is the private memory from which on an idle worker is replaced by a new one. Default three quarters of Memory.
	Recycle int64
	// MaxWorkers bounds the processes that there are at once. A start beyond waits for StartWait at most; the one that has idled
	// longest is stopped for it, and its models are loaded again when they are run. Defaults 64 and 10 s.
	MaxWorkers int
	StartWait  time.Duration
	// MaxWorkersPerTenant bounds those of one tenant, which are as many as its models name different providers. Default a quarter of
	// MaxWorkers, but 2 if there are as many.
	MaxWorkersPerTenant int
	// IdleStop is how long a worker without models goes on. Default 30 s.
	IdleStop time.Duration
	// EndGrace is how long a caller whose context is done waits for its run to end. A run that goes on is left alone, and its worker
	// ended, when nothing else runs there, and started again. Default 40 ms. When that happens often within a minute, the end of the
	// worker waits longer each time, up to HangLimit.
	EndGrace time.Duration
	// HangLimit is how long a worker that is to end for such a run goes on for others that run in it. Default 2 s.
	HangLimit time.Duration
	// Heartbeat is how often a worker is asked whether it is alive; it is killed when it has not answered six times in a row.
	// Default 5 s.
	Heartbeat time.Duration
	// Backoff is how long the second start after a crash waits, twice as long each further one, up to MaxBackoff. Defaults
	// 100 ms and 10 s.
	Backoff, MaxBackoff time.Duration
	// Strikes is how many crashes within StrikeWindow put a model into quarantine, for as long. Defaults 3 and 10 minutes.
	Strikes      int
	StrikeWindow time.Duration
	// NoFutex makes the processes wake each other by frames on their socket, as where there are no futexes.
	NoFutex bool
	// Unconfined starts workers with all the rights of this process, for devices whose drivers do not work otherwise.
	Unconfined bool
	// Behind tells whether the work of a tenant goes behind that of others: its processes run then only where no other thread of the
	// machine wants to, which takes a right: see package schedclass. It must not block. Default: nobody's does. See [Pool.Reclass].
	Behind func(tenant string) bool
	// Logger takes what workers say and what happens to them. Default slog.Default.
	Logger *slog.Logger
}

// Defaults.
const (
	DefaultMemory = 4 << 30
	DefaultShared = 4 << 30
)

func (c Config) withDefaults() Config {
	if c.Behind == nil {
		c.Behind = func(string) bool { return false }
	}
	orDefault(&c.Memory, DefaultMemory)
	orDefault(&c.Shared, DefaultShared)
	orDefault(&c.Recycle, c.Memory/4*3)
	orDefault(&c.MaxWorkers, 64)
	orDefault(&c.MaxWorkersPerTenant, max(c.MaxWorkers/4, min(c.MaxWorkers, 2)))
	orDefault(&c.StartWait, 10*time.Second)
	orDefault(&c.IdleStop, 30*time.Second)
	orDefault(&c.EndGrace, 40*time.Millisecond)
	orDefault(&c.HangLimit, 2*time.Second)
	orDefault(&c.Heartbeat, 5*time.Second)
	orDefault(&c.Backoff, 100*time.Millisecond)
	orDefault(&c.MaxBackoff, 10*time.Second)
	orDefault(&c.Strikes, 3)
	orDefault(&c.StrikeWindow, 10*time.Minute)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func orDefault[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

// Validate reports every fault of c at once.
func (c Config) Validate() error {
	var errs []error
	if len(c.Command) == 0 {
		errs = append(errs, errors.New("workers: no command that starts one"))
	}
	if c.Library == "" {
		errs = append(errs, errors.New("workers: no path of ONNX Runtime's library: "+ortlib.HowTo))
	}
	return errors.Join(errs...)
}

// missedPings is how many heartbeats a worker may miss.
const missedPings = 6

// keptEnv are beginnings of the names of environment variables that workers get to see: those that drivers of accelerators
// and the dynamic linker read.
var keptEnv = [...]string{"LD_LIBRARY_PATH=", "DYLD_", "CUDA_", "NVIDIA_", "TENSORRT_", "VK_", "ORT_", "TZ=", "GODEBUG=", "GOCOVERDIR=", "TMPDIR="}

func environment() []string {
	// Few malloc arenas: what a thread frees is there for the others, and can be given back. Beginning makes more than 4 MiB of garbage,
	// for which a collection is not worth it.
	env := []string{"MALLOC_ARENA_MAX=2", "GOGC=200"}
	for _, v := range os.Environ() {
		for _, k := range keptEnv {
			if len(v) >= len(k) && v[:len(k)] == k {
				env = append(env, v)
			}
		}
	}
	return env
}
