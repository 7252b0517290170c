package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/tandem-serve/tandem/host/server"
	"github.com/tandem-serve/tandem/host/telemetry"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/oidc"
)

const defaultListen = server.DefaultListen

type serveCmd struct {
	Listen      string        `help:"Address to listen on; port 0 takes a free one." default:"${listen}" env:"TANDEM_LISTEN" placeholder:"HOST:PORT"`
	AllowRemote bool          `help:"Listen on an address that is not loopback although calls and keys are not encrypted."`
	TLSCert     string        `name:"tls-cert" help:"PEM file with the server's certificate and its chain; read again when it changes." env:"TANDEM_TLS_CERT" placeholder:"FILE" type:"path"`
	TLSKey      string        `name:"tls-key" help:"PEM file with the certificate's key." env:"TANDEM_TLS_KEY" placeholder:"FILE" type:"path"`
	TLSClientCA string        `name:"tls-client-ca" help:"PEM file with authorities: only clients with a certificate of theirs are let in." env:"TANDEM_TLS_CLIENT_CA" placeholder:"FILE" type:"path"`
	CORSOrigin  []string      `name:"cors-origin" help:"Origin whose pages may call, as https://app.example.com; may be given several times. Default: none." placeholder:"ORIGIN"`
	OIDC        oidcFlags     `embed:"" prefix:"oidc-"`
	ONNXRuntime string        `name:"onnxruntime" help:"Path of libonnxruntime. Default: found in the project's .cache." env:"ONNXRUNTIME_LIB" placeholder:"FILE" type:"path"`
	NATS        string        `name:"nats" help:"URL of an external NATS with JetStream. Default: one inside the process." env:"TANDEM_NATS" placeholder:"URL"`
	Threads     int           `help:"Cores that models may use. Default: all that the process may use; quotas of cgroups are respected." placeholder:"N"`
	Providers   string        `help:"Where models run: cpu, prefer:LIST (else on the CPU) or require:LIST, with cuda:N, tensorrt:N and webgpu in LIST." default:"cpu" env:"TANDEM_PROVIDERS" placeholder:"WHERE"`
	Runners     string        `help:"Where models run: worker (a process for each tenant) or inprocess (this one: for a single user who trusts every model)." enum:"worker,inprocess" default:"worker" env:"TANDEM_RUNNERS"`
	WorkerMem   int           `name:"worker-memory" help:"Memory of one worker process, in MiB. Default: half of the machine's or container's memory." placeholder:"MIB"`
	MaxWorkers  int           `help:"Worker processes that there are at once; idle ones are stopped for others. Default: one for each 128 MiB of --model-memory." placeholder:"N"`
	MaxRequest  int           `help:"Largest request in MiB. Default: 64." default:"64" placeholder:"MIB"`
	MaxUnauth   int           `name:"max-unauthenticated" help:"Connections that may be open and have shown no valid key; for one more, the oldest is closed of the address that has most. Default: 1024, less where there is less than 8 GiB of memory." placeholder:"N"`
	RequestMem  int           `name:"request-memory" help:"What all requests together may hold at their peaks, in MiB; more is refused. Default: half of the machine's or container's memory." placeholder:"MIB"`
	ModelMem    int           `name:"model-memory" help:"What loaded models may take together, in MiB; those used longest ago are unloaded for others and loaded again when they are called. Default: two fifths of the machine's or container's memory." placeholder:"MIB"`
	CacheMem    int           `name:"cache-memory" help:"What the caches of nodes may hold, in MiB. Default: 256." default:"256" placeholder:"MIB"`
	StopTimeout time.Duration `help:"How long running calls may take to finish when the server stops." default:"20s"`
	Profiles    bool          `help:"Serve profiles of this process at /debug/pprof/, to admins of the tenant default."`
	LogLevel    slog.Level    `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"TANDEM_LOG_LEVEL"`
	LogFormat   string        `help:"How to log: text or json. Default: text on a terminal, else json." enum:"text,json," default:"" env:"TANDEM_LOG_FORMAT"`
}

// oidcFlags say whose tokens are taken beside API keys.
type oidcFlags struct {
	Issuer      string            `help:"URL of an OpenID Connect issuer whose ID tokens are taken beside API keys." env:"TANDEM_OIDC_ISSUER" placeholder:"URL"`
	Audience    string            `help:"What its tokens must be meant for." env:"TANDEM_OIDC_AUDIENCE" placeholder:"NAME"`
	TenantClaim string            `help:"Claim that names the tenant." default:"tandem_tenant" placeholder:"CLAIM"`
	RoleClaim   string            `help:"Claim that names the role: admin, publisher, caller or viewer." default:"tandem_role" placeholder:"CLAIM"`
	Tenant      map[string]string `help:"Tenant of a value of the tenant claim; with it, other values are refused. May be given several times." placeholder:"VALUE=TENANT"`
}

// verifier returns what verifies tokens; nil when no issuer was given.
func (f *oidcFlags) verifier() (tenant.Verifier, error) {
	if f.Issuer == "" {
		return nil, nil //nolint:nilnil // tokens are refused then
	}
	cfg := oidc.Config{Issuer: f.Issuer, Audience: f.Audience, TenantClaim: f.TenantClaim, RoleClaim: f.RoleClaim}
	for value, id := range f.Tenant {
		if cfg.Tenants == nil {
			cfg.Tenants = make(map[string]tenant.ID, len(f.Tenant))
		}
		cfg.Tenants[value] = tenant.ID(id)
	}
	v, err := oidc.New(cfg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return v, nil
}

// Run serves until the context ends.
func (c *serveCmd) Run(ctx context.Context, e *env) error {
	log := c.logger(e)
	lib, missing := findLibrary(e, c.ONNXRuntime)
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, which compiles plugins and runs models in processes of its own: %w", err)
	}
	var worker []string
	if c.Runners == "worker" {
		worker = []string{exe, "worker"}
	}
	cores := spareProcessors(e.getenv)
	var headroom int64
	if e.getenv("GOGC") == "" {
		headroom = server.DefaultHeadroom()
	}
	tokens, err := c.OIDC.verifier()
	if err != nil {
		return err
	}
	s, err := server.New(ctx, server.Config{
		Cores:   cores,
		DataDir: e.conn.Data, Listen: c.Listen, AllowRemote: c.AllowRemote, NATS: c.NATS, ONNXRuntime: lib,
		TLS: server.TLS{Cert: c.TLSCert, Key: c.TLSKey, ClientCA: c.TLSClientCA}, Tokens: tokens, CORSOrigins: c.CORSOrigin,
		ONNXRuntimeMissing: missing, Threads: cmp.Or(c.Threads, cores), Providers: c.Providers, MaxRequestBytes: c.MaxRequest << 20, StopTimeout: c.StopTimeout,
		ModelMemory: int64(c.ModelMem) << 20, RequestMemory: int64(c.RequestMem) << 20, CacheMemory: int64(c.CacheMem) << 20,
		Version: version(), Logger: log, CompileCommand: []string{exe, "compile"},
		Profiles: c.Profiles, WorkerCommand: worker, MaxWorkers: c.MaxWorkers, WorkerMemory: int64(c.WorkerMem) << 20,
		Headroom: headroom, MaxUnauthenticated: c.MaxUnauth,
	})
	if err != nil {
		return err
	}
	if e.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(s.GoMemory())
	}
	if missing != "" {
		log.WarnContext(ctx, "no models can be run", slog.String("why", missing))
	}
	if file := s.AdminKeyFile(); file != "" {
		_, _ = fmt.Fprintf(e.err, "First start: the admin key of tenant \"default\" is in %s\n", file)
	}
	_, _ = fmt.Fprintf(e.err, "Tandem %s listens on %s, data in %s. Stop it with Ctrl-C.\n", version(), s.URL(), e.conn.Data)
	return s.Run(ctx)
}

// spare is how many processors Go has beyond the machine's cores. See spareProcessors.
const spare = 14

// spareProcessors gives Go more processors than there are cores, unless GOMAXPROCS is set, and returns how many cores there are.
// Plugins may use all cores, and so may everything that is done for a tenant outside of them; goroutines queue for Go's processors
// first come, first served, for up to 10 ms each. With processors to spare nearly each of them is a thread that the system
// schedules, and the system lets the one that has just slept go first: a short call is not behind the long ones of others. One of
// the spare processors also waits for the network, which Go otherwise looks at every 10 ms while all are busy.
func spareProcessors(getenv func(string) string) (cores int) {
	cores = runtime.GOMAXPROCS(0)
	if getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores + spare)
	}
	return cores
}

func (c *serveCmd) logger(e *env) *slog.Logger {
	return telemetry.NewLogger(e.err, telemetry.LogConfig{Level: c.LogLevel, Format: c.LogFormat})
}

// findLibrary finds ONNX Runtime: where the flag says, else below the working folder or the program.
func findLibrary(e *env, flag string) (path, missing string) {
	if flag != "" {
		return flag, ""
	}
	dirs := []string{}
	if wd, err := os.Getwd(); err == nil {
		dirs = append(dirs, wd)
	}
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, exe)
	}
	for _, dir := range dirs {
		found, err := server.FindONNXRuntime(e.getenv, dir)
		if err == nil {
			return found, ""
		}
		missing = err.Error()
	}
	return "", missing
}
