// Package api answers Connect, gRPC and gRPC-Web calls. It is the only place that converts between the wire and the
// domain: handlers convert, call control, engine or a store, and convert back; every error that leaves the server is
// written here. A streamed call runs on a goroutine of its own, which ends before the call does.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	connect1 "connectrpc.com/connect"
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/validate"

	"github.com/tandem-serve/tandem/host/api/wire"
	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/usage"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// DefaultMaxRequestBytes is the largest message that the server reads unless the configuration says otherwise: 64 MiB.
const DefaultMaxRequestBytes = 64 << 20

// Config is what the handlers call. All fields but MaxRequestBytes and Meter are required.
type Config struct {
	Auth *tenant.Authenticator
	// Authenticated is told of each call that came with a valid credential, by the context of its request, before its body is
	// read. Default: nobody is told.
	Authenticated func(context.Context)
	Catalog       *catalog.Catalog
	Control       *control.Manager
	Engine        *engine.Engine
	Records       *record.Log
	Uploads       blob.Uploader
	// Door admits calls; Usage counts them; Audit keeps what they change.
	Door   *quota.Door
	Usage  *usage.Ledger
	Audit  *audit.Log
	Server ServerInfo
	// Background has the work of busy tenants done behind that of others. Default: it is not.
	Background *background.Scheduler
	Logger     *slog.Logger
	// Meter counts calls. Default: nothing is counted.
	Meter Meter
	// MaxRequestBytes bounds one message after decompression. Default DefaultMaxRequestBytes.
	MaxRequestBytes int
}

// Meter counts calls.
type Meter interface {
	// Call tells of one finished call; code is "ok" or the Connect code.
	Call(procedure, code string, took time.Duration)
}

// ServerInfo is what the server knows of itself.
type ServerInfo struct {
	Version string
	// ONNXRuntime is the library's version; Missing says why there is none.
	ONNXRuntime string
	Missing     string
	Started     time.Time
}

// NewHandler returns the handler of all services, of gRPC health and of gRPC reflection.
func NewHandler(cfg Config) http.Handler {
	if cfg.MaxRequestBytes <= 0 {
		cfg.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if cfg.Authenticated == nil {
		cfg.Authenticated = func(context.Context) {}
	}
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	h := &handler{cfg: cfg}
	s := connect.NewServer(finish(cfg.Logger, cfg.Meter), authenticate(cfg.Auth, cfg.Authenticated), working(cfg.Background), admit(cfg.Door, cfg.Usage), keepToScope(h), takeTurns(cfg.Door),
		validate.NewServerInterceptor())
	tandemv1connect.RegisterInferenceServiceHandler(s, inference{h})
	tandemv1connect.RegisterModelServiceHandler(s, models{h})
	tandemv1connect.RegisterPluginServiceHandler(s, plugins{h})
	tandemv1connect.RegisterGraphServiceHandler(s, graphs{h})
	tandemv1connect.RegisterReleaseServiceHandler(s, releases{h})
	tandemv1connect.RegisterTagServiceHandler(s, tags{h})
	tandemv1connect.RegisterRecordServiceHandler(s, records{h})
	tandemv1connect.RegisterServerServiceHandler(s, servers{h})
	tandemv1connect.RegisterTenantServiceHandler(s, tenants{h})
	services := http.NewServeMux()
	connecthttp.Mount(services, s, append(wire.Options(exchangeOf), connecthttp.WithReadMaxBytes(cfg.MaxRequestBytes), connecthttp.WithHTTPGet())...)
	mux := http.NewServeMux()
	mux.Handle("/", wire.Handler(services, int64(cfg.MaxRequestBytes), exchangeOf))
	handlePublic(mux)
	return roomy(counted(bounded(mux, slowReader), slowSender, slowBody))
}

// publicBytes bounds one message to the services that need no key, after decompression: 64 KiB, and they need less than one.
const publicBytes = 64 << 10

// handlePublic adds health and reflection, which need no key and so nothing of what bounds who has one.
func handlePublic(mux *http.ServeMux) {
	names, most := serviceNames(), connect1.WithReadMaxBytes(publicBytes)
	mux.Handle(grpchealth.NewHandler(grpchealth.NewStaticChecker(names...), most))
	mux.Handle(grpcreflect.NewHandlerV1(grpcreflect.NewStaticReflector(names...), most))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(grpcreflect.NewStaticReflector(names...), most))
}

func serviceNames() []string {
	return []string{
		tandemv1connect.InferenceServiceName, tandemv1connect.ModelServiceName, tandemv1connect.PluginServiceName,
		tandemv1connect.GraphServiceName, tandemv1connect.ReleaseServiceName, tandemv1connect.TagServiceName,
		tandemv1connect.RecordServiceName, tandemv1connect.ServerServiceName, tandemv1connect.TenantServiceName,
	}
}

// handler is what all services share.
type handler struct {
	cfg Config
}

// caller returns the tenant of the call. The interceptor has checked what it may do.
func (h *handler) caller(ctx context.Context) (tenant.ID, error) { return tenant.From(ctx) }

type noMeter struct{}

func (noMeter) Call(string, string, time.Duration) {}
