// Package client is the Go client of a Tandem server: it calls graphs, pushes models and plugins with resumable uploads,
// and reaches every service of the API. It starts no goroutines of its own.
package client

import (
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectgzip"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// DefaultMaxBytes is the largest answer that a client reads unless told otherwise: 256 MiB.
const DefaultMaxBytes = 256 << 20

// Client talks to one server as one caller. Its methods may be called from many goroutines at once. The exported fields
// are the generated clients of all services, for what the methods do not wrap.
type Client struct {
	Inference tandemv1connect.InferenceServiceClient
	Models    tandemv1connect.ModelServiceClient
	Plugins   tandemv1connect.PluginServiceClient
	Graphs    tandemv1connect.GraphServiceClient
	Releases  tandemv1connect.ReleaseServiceClient
	Tags      tandemv1connect.TagServiceClient
	Records   tandemv1connect.RecordServiceClient
	Tenants   tandemv1connect.TenantServiceClient
	Server    tandemv1connect.ServerServiceClient
}

// Option changes how a client reaches its server.
type Option interface{ apply(*settings) }

type settings struct {
	key       string
	http      connecthttp.HTTPClient
	tls       *tls.Config
	transport []connecthttp.Option
}

type optionFunc func(*settings)

func (f optionFunc) apply(s *settings) { f(s) }

// WithKey sends key, an API key ("tdm_..."), with every call. Default: none.
func WithKey(key string) Option { return optionFunc(func(s *settings) { s.key = key }) }

// WithHTTPClient uses c. Default: a client of its own that speaks HTTP/1.1 and HTTP/2, the latter also without TLS.
func WithHTTPClient(c connecthttp.HTTPClient) Option {
	return optionFunc(func(s *settings) { s.http = c })
}

// WithTLS uses c for a server at https, for its own authorities or a client certificate. Default: the system's authorities.
// It has no effect together with WithHTTPClient.
func WithTLS(c *tls.Config) Option {
	return optionFunc(func(s *settings) { s.tls = c })
}

// WithGRPC speaks gRPC. Default: the Connect protocol.
func WithGRPC() Option {
	return optionFunc(func(s *settings) { s.transport = append(s.transport, connecthttp.WithGRPC()) })
}

// WithGRPCWeb speaks gRPC-Web. Default: the Connect protocol.
func WithGRPCWeb() Option {
	return optionFunc(func(s *settings) { s.transport = append(s.transport, connecthttp.WithGRPCWeb()) })
}

// WithJSON sends and reads JSON. Default: binary protobuf.
func WithJSON() Option {
	return optionFunc(func(s *settings) { s.transport = append(s.transport, connecthttp.WithProtoJSON()) })
}

// WithMaxBytes bounds the answers that the client reads. Default: DefaultMaxBytes.
func WithMaxBytes(n int) Option {
	return optionFunc(func(s *settings) { s.transport = append(s.transport, connecthttp.WithReadMaxBytes(n)) })
}

// WithGzip compresses requests and takes compressed answers, for slow networks: numbers shrink little, and gzip takes about 20
// ms of both sides' processors for each megabyte. Default: neither.
func WithGzip() Option {
	return optionFunc(func(s *settings) {
		s.transport = append(s.transport, connecthttp.WithCompressors(connectgzip.New(connectgzip.WithLevel(gzip.BestSpeed))), connecthttp.WithSendGzip())
	})
}

// New returns a client for the server at baseURL, for instance "http://127.0.0.1:7341". It does not connect; a server that
// is not there shows at the first call.
func New(baseURL string, opts ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("server address %q: want http://host:port or https://host:port", baseURL)
	}
	s := &settings{transport: []connecthttp.Option{connecthttp.WithReadMaxBytes(DefaultMaxBytes), connecthttp.WithCompressors()}}
	for _, o := range opts {
		o.apply(s)
	}
	if s.http == nil {
		s.http = defaultHTTPClient(u.Scheme, s.tls)
	}
	c := connect.NewClient(connecthttp.NewTransport(s.http, baseURL, s.transport...), withKey(s.key))
	return &Client{
		Inference: tandemv1connect.NewInferenceServiceClient(c),
		Models:    tandemv1connect.NewModelServiceClient(c),
		Plugins:   tandemv1connect.NewPluginServiceClient(c),
		Graphs:    tandemv1connect.NewGraphServiceClient(c),
		Releases:  tandemv1connect.NewReleaseServiceClient(c),
		Tags:      tandemv1connect.NewTagServiceClient(c),
		Records:   tandemv1connect.NewRecordServiceClient(c),
		Tenants:   tandemv1connect.NewTenantServiceClient(c),
		Server:    tandemv1connect.NewServerServiceClient(c),
	}, nil
}

// frameBytes is the largest HTTP/2 frame that the default client takes. Go's own 16 KiB cost both sides a pass through their
// connection's goroutines and a system call each; calls that share a connection wait for no more than one frame of each other.
const frameBytes = 256 << 10

// defaultHTTPClient speaks HTTP/2 on a plain connection too, so that gRPC works and many calls share one connection.
func defaultHTTPClient(scheme string, config *tls.Config) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP2(true)
	if scheme == "http" {
		p.SetUnencryptedHTTP2(true)
	} else {
		p.SetHTTP1(true)
	}
	return &http.Client{Transport: &http.Transport{
		Protocols: p, TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, HTTP2: &http.HTTP2Config{MaxReadFrameSize: frameBytes},
	}}
}
