package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// Config configures a [Host]. The zero Config is usable; every zero field takes its default.
type Config struct {
	// CacheDir keeps compiled code over restarts. It is created with mode 0700 and must belong to this user alone: its
	// content is executed. Default "": compiled code lives in memory only.
	CacheDir string
	// CacheBytes bounds the files in CacheDir; the entries that were not used for longest go first. Default 4 GiB.
	CacheBytes int64
	// Compiler compiles modules before they are loaded. Default nil: in this process, where a module that is slow or
	// large to compile hurts everybody. A server sets a [ChildCompiler].
	Compiler Compiler
	// Limits are the linter's. Default wasmbin.DefaultLimits().
	Limits *wasmbin.Limits

	// MemoryLimitBytes caps the linear memory of one instance. Default 256 MiB, at most 4 GiB.
	MemoryLimitBytes int64
	// GuestBytes bounds the snapshots of the host and what all guests have grown to beyond theirs, together; a guest that asks for
	// more is refused it, like one at its own cap. Default 4 GiB, at least MemoryLimitBytes.
	GuestBytes int64
	// TenantMemory returns how much memory the plugins of a tenant may have, in bytes: linear memories of instances, running
	// and idle, and snapshots of configurations; below 0 is no limit. What lies idle of the tenant's makes room. A call that
	// still finds no room for an instance waits for one, like one that finds too many instances; a guest that grows does not
	// wait and is refused. It is asked with a lock held and must answer from memory. Default: no limit.
	TenantMemory func(tenant string) int64
	// ArenaBytes is the smallest transfer arena. A call that needs more uses an instance whose arena is 16 times larger,
	// and so on, up to MaxArenaBytes. Default 64 KiB.
	ArenaBytes int64
	// MaxArenaBytes bounds the inputs of one call. Default a half of MemoryLimitBytes.
	MaxArenaBytes int64

	// Cores is how many guests run at once; others wait for their turn, fairly between tenants. Set it to what the machine
	// has when GOMAXPROCS is more. Default GOMAXPROCS.
	Cores int
	// Background says which tenants are behind: guests of the others need not wait for their turns, since they take the core anyway.
	// Default: none is.
	Background *background.Scheduler
	// MaxInstances bounds the live instances of the host, running and idle. Callers beyond it wait. While plugins of several tenants
	// are loaded, a tenant has no more in use than are free: half of them while no other calls. Default 256.
	MaxInstances int
	// MaxInstancesPerPlugin bounds them for one Plugin. Default 64, at most MaxInstances.
	MaxInstancesPerPlugin int
	// MaxInstancesPerTenant bounds them for all Plugins of one tenant together. Default MaxInstances.
	MaxInstancesPerTenant int
	// MaxWaiting bounds the callers that wait for an instance. When one more comes, one of the tenant that has most waiting is refused
	// with a [TenantWaitingError]: no tenant that has less than an equal part of them waiting. Default 4096.
	MaxWaiting int
	// IdleTimeout is how long an instance may lie idle before it is given back. Default 1 minute.
	IdleTimeout time.Duration

	// UploadTimeout bounds the compiling of one module, without the wait for others that compile. Default 1 minute.
	UploadTimeout time.Duration
	// DescribeTimeout bounds a plugin's own start, its description and its initialisation, each. Default 2 s.
	DescribeTimeout time.Duration
	// CallTimeout bounds a call whose context has no deadline. Default 30 s.
	CallTimeout time.Duration

	// MaxLogBytes and MaxLogLines bound what one call may log, standard output and error included; the rest is counted
	// and dropped. Defaults 64 KiB and 256.
	MaxLogBytes, MaxLogLines int
	// MaxRecords and MaxRecordBytes bound what one call may record. Defaults 1000 and 256 KiB.
	MaxRecords, MaxRecordBytes int
	// MaxOutputBytes bounds the outputs of one call together. Default MemoryLimitBytes.
	MaxOutputBytes int64

	// Logger gets what the host has to say about plugins (loads, evictions). Default: discarded. What plugins log goes to
	// Services.Log.
	Logger *slog.Logger
}

func orDefault[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

// withDefaults returns c with every zero field at its default.
func (c Config) withDefaults() Config {
	if c.Limits == nil {
		l := wasmbin.DefaultLimits()
		c.Limits = &l
	}
	if c.Compiler == nil && c.CacheDir != "" {
		c.Compiler = inProcess{}
	}
	orDefault(&c.CacheBytes, 4<<30)
	orDefault(&c.MemoryLimitBytes, 256<<20)
	orDefault(&c.GuestBytes, max(4<<30, c.MemoryLimitBytes))
	orDefault(&c.MaxArenaBytes, c.MemoryLimitBytes/2&^(pageBytes-1))
	if c.TenantMemory == nil {
		c.TenantMemory = func(string) int64 { return -1 }
	}
	orDefault(&c.ArenaBytes, min(64<<10, c.MaxArenaBytes))
	orDefault(&c.Cores, runtime.GOMAXPROCS(0))
	orDefault(&c.MaxInstances, 256)
	orDefault(&c.MaxInstancesPerPlugin, min(64, c.MaxInstances))
	orDefault(&c.MaxInstancesPerTenant, c.MaxInstances)
	orDefault(&c.MaxWaiting, 4096)
	orDefault(&c.IdleTimeout, time.Minute)
	orDefault(&c.UploadTimeout, time.Minute)
	orDefault(&c.DescribeTimeout, 2*time.Second)
	orDefault(&c.CallTimeout, 30*time.Second)
	orDefault(&c.MaxLogBytes, 64<<10)
	orDefault(&c.MaxLogLines, 256)
	orDefault(&c.MaxRecords, 1000)
	orDefault(&c.MaxRecordBytes, 256<<10)
	orDefault(&c.MaxOutputBytes, c.MemoryLimitBytes)
	orDefault(&c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// Validate reports every field that is out of range, joined.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("sandbox config: "+format, args...))
		}
	}
	c = c.withDefaults()
	check(c.MemoryLimitBytes >= 64<<10 && c.MemoryLimitBytes <= 4<<30, "MemoryLimitBytes %d is not in 64 KiB..4 GiB", c.MemoryLimitBytes)
	check(c.GuestBytes >= c.MemoryLimitBytes, "GuestBytes %d is less than MemoryLimitBytes (%d)", c.GuestBytes, c.MemoryLimitBytes)
	check(c.ArenaBytes >= pageBytes && c.ArenaBytes%pageBytes == 0 && c.ArenaBytes <= c.MaxArenaBytes,
		"ArenaBytes %d is not a multiple of %d up to MaxArenaBytes (%d)", c.ArenaBytes, pageBytes, c.MaxArenaBytes)
	check(c.MaxArenaBytes%pageBytes == 0 && c.MaxArenaBytes <= c.MemoryLimitBytes && c.MaxArenaBytes <= 2<<30,
		"MaxArenaBytes %d is not a multiple of %d up to MemoryLimitBytes (%d) and 2 GiB", c.MaxArenaBytes, pageBytes, c.MemoryLimitBytes)
	check(c.Cores >= 1, "Cores %d is less than 1", c.Cores)
	check(c.MaxInstances >= 1, "MaxInstances %d is less than 1", c.MaxInstances)
	check(c.MaxInstancesPerPlugin >= 1 && c.MaxInstancesPerPlugin <= c.MaxInstances, "MaxInstancesPerPlugin %d is not in 1..MaxInstances (%d)", c.MaxInstancesPerPlugin, c.MaxInstances)
	check(c.MaxInstancesPerTenant >= 1 && c.MaxInstancesPerTenant <= c.MaxInstances, "MaxInstancesPerTenant %d is not in 1..MaxInstances (%d)", c.MaxInstancesPerTenant, c.MaxInstances)
	check(c.MaxWaiting >= 1, "MaxWaiting %d is less than 1", c.MaxWaiting)
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"IdleTimeout", c.IdleTimeout},
		{"UploadTimeout", c.UploadTimeout},
		{"DescribeTimeout", c.DescribeTimeout},
		{"CallTimeout", c.CallTimeout},
	} {
		check(d.d > 0, "%s %v is not positive", d.name, d.d)
	}
	for _, n := range []struct {
		name string
		n    int64
	}{
		{"CacheBytes", c.CacheBytes},
		{"MaxLogBytes", int64(c.MaxLogBytes)},
		{"MaxLogLines", int64(c.MaxLogLines)},
		{"MaxRecords", int64(c.MaxRecords)},
		{"MaxRecordBytes", int64(c.MaxRecordBytes)},
		{"MaxOutputBytes", c.MaxOutputBytes},
	} {
		check(n.n > 0, "%s %d is not positive", n.name, n.n)
	}
	return errors.Join(errs...)
}

// maxCompiles bounds the modules that compile at once, each of which may take the memory of a [ChildCompiler].
const maxCompiles = 4

// compilesAtOnce returns how many modules compile at once: as many as there are cores. In this process and without a cache it is one,
// since the runtime is not safe for equal modules at once.
func (c Config) compilesAtOnce() int {
	if c.Compiler == nil {
		return 1
	}
	return min(c.Cores, maxCompiles)
}
