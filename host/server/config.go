package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/tandem-serve/tandem/host/api"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Defaults of a server.
const (
	DefaultListen      = "127.0.0.1:7341"
	DefaultStopTimeout = 20 * time.Second
	// DefaultPluginMemory caps one plugin instance: 1 GiB holds the pixels of an image of 8000x8000 (192 MB) and what a
	// plugin makes of them; memory that is not touched costs nothing.
	DefaultPluginMemory = 1 << 30
	// DefaultCacheMemory is what the caches of nodes may hold.
	DefaultCacheMemory = 256 << 20
	// memoryOfWorker is what there is room for, for each worker: some tens of MiB are the process's own, the rest a model's.
	memoryOfWorker = 128 << 20
	// mostUnauthenticated and leastUnauthenticated bound the default of Config.MaxUnauthenticated.
	mostUnauthenticated, leastUnauthenticated = 1024, 128
	// DefaultUploadAge is how long an upload without a chunk is kept.
	DefaultUploadAge = 24 * time.Hour
)

// Config configures a Server. Zero fields take their defaults.
type Config struct {
	// DataDir is the folder with everything that the server keeps. Required.
	DataDir string
	// Listen is the address, host:port. Port 0 takes a free one. Default DefaultListen. An address that is not loopback
	// needs TLS, or AllowRemote, because calls are not encrypted then.
	Listen      string
	AllowRemote bool
	// TLS encrypts. Default: plain HTTP.
	TLS TLS
	// Tokens verifies bearer tokens that are no keys. Default: they are refused.
	Tokens tenant.Verifier
	// CORSOrigins are the origins whose pages may call, as "https://app.example.com". Default: none.
	CORSOrigins []string
	// NATS is the URL of an external NATS with JetStream for the catalog and the records. Default: embedded.
	NATS string
	// ONNXRuntime is the path of libonnxruntime. Default: none, and the server runs plugins only.
	ONNXRuntime string
	// ONNXRuntimeMissing says why ONNXRuntime is empty, for callers who want to run a model.
	ONNXRuntimeMissing string
	// Threads is how many cores models may use, and so how many threads work on one operator at most. Default: as many as the
	// process may use, its cgroup's quota respected.
	Threads int
	// ModelMemory bounds what loaded models take together, in bytes; those used longest ago are unloaded for others. Default: two
	// fifths of the memory that the machine, or the container, has.
	ModelMemory int64
	// Cores is how many plugins compute at once; more wait for their turn, fairly between tenants. How many items of one request
	// run at the same time follows from it. Default GOMAXPROCS.
	Cores int
	// Providers says where models run: "cpu", "prefer:LIST" or "require:LIST", as onnx.ParseProviders reads it. Default: on
	// the CPU.
	Providers string
	// PluginMemory caps the memory of one plugin instance in bytes. Default DefaultPluginMemory.
	PluginMemory int64
	// CompileCommand is the program, with its first arguments, that compiles plugins in a process of its own: it must call
	// sandbox.CompileChild with the folder that comes as the last argument. Default: plugins are compiled in this process,
	// which is for tests only.
	CompileCommand []string
	// WorkerCommand is the program, with its first arguments, that runs models in a process of its own for each tenant: it must
	// call worker.Main. Default: models run in this process, which is for tests and for a single user who trusts them.
	WorkerCommand []string
	// WorkerMemory bounds the memory of one worker in bytes. Default: half of the memory that the machine, or the container, has.
	WorkerMemory int64
	// MaxWorkers bounds the worker processes that there are at once; idle ones are stopped for others. Default: one for each 128 MiB
	// of ModelMemory, at least 4.
	MaxWorkers int
	// MaxRequestBytes bounds one request. Default api.DefaultMaxRequestBytes.
	MaxRequestBytes int
	// MaxUnauthenticated bounds the connections that are open and have shown no valid key; for one more, the oldest is closed of the
	// address that has most. They hold half a MiB each at most. Default: 1024, or as many as a sixteenth of the memory that the machine, or
	// the container, has is enough for, but at least 128.
	MaxUnauthenticated int
	// RequestMemory bounds what all requests together are expected to hold at their peaks, in bytes. Default: half of the
	// memory that the machine, or the container, has.
	RequestMemory int64
	// CacheMemory bounds what the caches of nodes hold, in bytes. Default 256 MiB.
	CacheMemory int64
	// Headroom bounds by how many bytes Go's heap may grow between two collections of garbage, when it has to grow by more than what is
	// in use for them to be four seconds apart. Default: collections are left to Go. See DefaultHeadroom.
	Headroom int64
	// StopTimeout bounds a graceful stop. Default DefaultStopTimeout.
	StopTimeout time.Duration
	// UploadAge is how long an unfinished upload without a chunk is kept. Default DefaultUploadAge.
	UploadAge time.Duration
	// Profiles serves the profiles of the Go runtime at /debug/pprof/, to admins of the tenant "default". Default: off.
	Profiles bool
	// Version is shown to callers.
	Version string
	// Logger is required.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" || c.Logger == nil {
		return c, errors.New("server config: DataDir and Logger are required")
	}
	orDefault(&c.Listen, DefaultListen)
	orDefault(&c.StopTimeout, DefaultStopTimeout)
	orDefault(&c.Cores, runtime.GOMAXPROCS(0))
	orDefault(&c.PluginMemory, int64(DefaultPluginMemory))
	orDefault(&c.MaxRequestBytes, api.DefaultMaxRequestBytes)
	orDefault(&c.MaxUnauthenticated, int(max(min(machineMemory()/16/strangerCost, mostUnauthenticated), leastUnauthenticated)))
	orDefault(&c.UploadAge, DefaultUploadAge)
	orDefault(&c.RequestMemory, machineMemory()/2)
	orDefault(&c.ModelMemory, machineMemory()/5*2)
	orDefault(&c.WorkerMemory, machineMemory()/2)
	orDefault(&c.MaxWorkers, int(max(c.ModelMemory/memoryOfWorker, 4)))
	orDefault(&c.CacheMemory, int64(DefaultCacheMemory))
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("listen address %q: want host:port: %w", c.Listen, err)
	}
	if err := c.TLS.validate(); err != nil {
		return c, err
	}
	if ip := net.ParseIP(host); !c.AllowRemote && !c.TLS.enabled() && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return c, fmt.Errorf("listen address %q is not loopback: calls and keys would travel unencrypted; give --tls-cert and --tls-key, put a TLS proxy in front, or say --allow-remote", c.Listen)
	}
	return c, nil
}

func orDefault[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
